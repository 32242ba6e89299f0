// Generated from nbtransfer/ui/{traits,messages}.py by `python -m nbtransfer.ui.typescript`; do not edit.

/** There is nothing to show yet. */
export interface Empty {
}

export type NodeRow = [string, number, string, string, number];

/** A layer tree. Nodes come before what they hold; `frozen` names the fewest nodes that hold all frozen layers.

    `rates` are multipliers of the learning rate other than 1, by the id of the layer's node.
     */
export interface LayersTraits {
  nodes: Array<NodeRow>;
  frozen: Array<string>;
  rates: Record<string, number>;
}

/** A phase of a run. A head that is fitted by a solver has no learning rate. */
export interface PhaseFacts {
  name: string;
  epochs: number;
  lr: number;
  trainable: number;
  summary: string;
  solver: string | null;
}

/** What seldom changes about a run. `best` says whether it has a model yet; `caveats` what to distrust. */
export interface RunFacts {
  id: string;
  status: string;
  ended: boolean;
  message: string;
  verdict: string;
  caveats: Array<string>;
  backbone: string;
  recipe: string;
  phase: string;
  phases: Array<PhaseFacts>;
  total: number;
  device: string;
  epochs: number;
  seconds: number | null;
  best: boolean;
  notes: Array<string>;
}

/** The accuracy on one split, with its 95 % interval. */
export interface ScoreFacts {
  split: string;
  accuracy: number;
  interval: Array<number>;
  correct: number;
  examples: number;
}

/** A wrong answer. The picture is a data URL; null when the image cannot be read. */
export interface Mistake {
  picture: string | null;
  answer: string;
  source: string;
}

/** What a run that has ended came to. `confusion` is HTML. */
export interface ResultFacts {
  scores: Array<ScoreFacts>;
  split: string;
  confusion: string;
  header: Array<string>;
  rows: Array<Array<string>>;
  mistakes: Array<Mistake>;
  wrong: number;
  receipt: string;
}

/** A run: facts, the last lines of its log, its result. */
export interface RunTraits {
  run: RunFacts | Empty;
  log: string;
  result: ResultFacts | Empty;
}

export type NamedChoice = [string, string];

/** The backbone that is chosen, and what its weights are. */
export interface CardFacts {
  name: string;
  params: number;
  width: number;
  size: number;
  weights: string;
}

/** Fields of a recipe that the page offers. null stands for the recipe's default. */
export interface Settings {
  strategy: string;
  epochs: number;
  lr: number | null;
  batch_size: number;
  image_size: number | null;
  crop: number | null;
  augment: Array<string>;
  seed: number;
  device: string;
}

/** What some settings can be. */
export interface Options {
  strategy: Array<string>;
  augment: Array<string>;
}

/** Whether the last choice can be taken back, and whether it put a strategy's freeze plan in the place of one's own. */
export interface Past {
  undo: boolean;
  dropped_plan: boolean;
}

/** A phase as the next run would carry it out; `learns` says in words which shared layers do. */
export interface PhaseChoice {
  name: string;
  learns: string;
  epochs: number;
  lr: number | null;
  solver: string | null;
}

/** A target task: images of each class in each split, and some of them as data URLs. */
export interface TaskFacts {
  name: string;
  summary: string;
  splits: Array<string>;
  counts: Record<string, Record<string, number>>;
  pictures: Record<string, Array<string>>;
  notes: Array<string>;
}

/** What every widget has: a problem of the view itself, in one sentence. */
export interface WidgetTraits {
  problem: string;
}

/** Traits of `LayerTree`. */
export interface LayerTreeTraits {
  problem: string;
  nodes: Array<NodeRow>;
  frozen: Array<string>;
  rates: Record<string, number>;
}

/** Traits of `RunMonitor`. */
export interface RunMonitorTraits {
  problem: string;
  run: RunFacts | Empty;
  log: string;
  result: ResultFacts | Empty;
}

/** Traits of `Dashboard`. */
export interface DashboardTraits {
  problem: string;
  nodes: Array<NodeRow>;
  frozen: Array<string>;
  rates: Record<string, number>;
  run: RunFacts | Empty;
  log: string;
  result: ResultFacts | Empty;
  backbones: Array<NamedChoice>;
  card: CardFacts;
  settings: Settings;
  options: Options;
  phases: Array<PhaseChoice>;
  past: Past;
  task: TaskFacts | Empty;
}

/** From the page: a view has opened. */
export interface Hello {
  kind: "hello";
  view: string;
}

/** From the page: a view has closed. */
export interface Bye {
  kind: "bye";
  view: string;
}

/** From the page: carry out an operation. `op` and `args` are those of `Operations`. */
export interface Request {
  kind: "request";
  id: string;
  op: string;
  args: Record<string, any>;
}

/** To the page: the request has arrived. Its reply follows. */
export interface Ack {
  kind: "ack";
  id: string;
}

/** To the page: the reply to a request that was carried out. */
export interface Done {
  kind: "reply";
  id: string;
  ok: true;
  value: any;
}

/** To the page: the reply to a request that failed, with one sentence that says what to do. */
export interface Refused {
  kind: "reply";
  id: string;
  ok: false;
  error: string;
}

/** To the page: the kernel is alive. */
export interface Beat {
  kind: "beat";
}

/** The activations of a boundary are being computed: `done` of `of` views. */
export interface ComputingFacts {
  layer: string;
  done: number;
  of: number;
}

/** What changes with every step. `fraction` is of the whole run, `left` are seconds of the phase. */
export interface ProgressFacts {
  epoch: number;
  fraction: number;
  left: number | null;
  computing: ComputingFacts | null;
}

/** One epoch. Losses are in nats; what is not finite is null. */
export interface EpochRow {
  phase: string;
  epoch: number;
  step: number;
  loss: number | null;
  accuracy: number | null;
  val_loss: number | null;
  val_accuracy: number;
  val_interval: Array<number>;
  lr: number | null;
  seconds: number | null;
  best: boolean;
}

export type Point = [number, number | null];

/** To the page: what is new about a run. Points before `points_from` and rows before `rows_from` stay as they are. */
export interface News {
  kind: "news";
  progress: ProgressFacts;
  points_from: number;
  points: Array<Point>;
  rows_from: number;
  rows: Array<EpochRow>;
}

export type FromPage = Hello | Bye | Request;

export type ToPage = Ack | Done | Refused | Beat | News;

/** A folder of labelled images, or `demo:NAME`, and how it is split. A number may come as it was typed. */
export interface DataSource {
  source: string;
  holdout?: number | string;
  test?: number | string;
  per_class?: number | string;
  unreadable?: "skip";
  duplicates?: "skip";
}

/** Another backbone or other settings; null empties a field. A number may come as it was typed. */
export interface Changes {
  backbone?: string;
  strategy?: string;
  epochs?: number | string | null;
  lr?: number | string | null;
  batch_size?: number | string | null;
  image_size?: number | string | null;
  crop?: number | string | null;
  augment?: Array<string>;
  seed?: number | string | null;
  device?: string | null;
}

/** What to look for among the backbones. Limits come as typed: millions of parameters, billions of multiply-adds, pixels. */
export interface BackboneQuery {
  text: string;
  max_params: string;
  max_multiply_adds: string;
  max_size: string;
  licence: string;
  downloaded: boolean;
}

/** The first backbones that match, and how many do. */
export interface BackbonesFound {
  rows: Array<NamedChoice>;
  count: number;
}

export type SampleId = [string, number];

/** An image that can be explained, in words. */
export interface ExampleChoice {
  sample: SampleId;
  text: string;
  right: boolean;
}

/** What can be compared: snapshots before and after, classes, images (mistakes first). */
export interface ComparisonChoices {
  before: Array<NamedChoice>;
  after: Array<NamedChoice>;
  classes: Array<string>;
  images: Array<ExampleChoice>;
}

/** One comparison. `target` is a class, or null for the predicted one; `narrow` asks for a tall figure. */
export interface Question {
  samples: Array<SampleId>;
  target: string | null;
  before: string;
  after: string;
  narrow: boolean;
}

/** A comparison as a picture (an SVG element), in words and in numbers. */
export interface Explanation {
  svg: string;
  caption: string;
  header: Array<string>;
  table: Array<Array<string>>;
}

/** What the page can request: the arguments, and the value of the reply. */
export interface Operations {
  stop: [Empty, string];
  pause: [Empty, string];
  resume: [Empty, string];
  replan: [Empty, string];
  start: [Empty, string];
  choose: [Changes, null];
  undo: [Empty, null];
  find: [BackboneQuery, BackbonesFound];
  data: [DataSource, null];
  snapshots: [Empty, ComparisonChoices];
  explain: [Question, Explanation];
}
