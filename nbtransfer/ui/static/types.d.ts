// Types that only the page has; those it shares with the kernel are in messages.d.ts.

import type { AnyModel } from "@anywidget/types";
import type { EpochRow, Operations, Point, ProgressFacts } from "./messages";

/** What this page has heard about a run so far. */
export interface Series {
  progress: ProgressFacts | null;
  points: Point[];
  rows: EpochRow[];
}

/** What has changed: the series of the run, or whether the kernel responds. */
export type Topic = "news" | "silence";

/** The comm between a widget's views in this page and its kernel. `silent`: no sign of life; `late`: no ack for a request. */
export interface Link {
  series: Series;
  silent: boolean;
  late: boolean;
  /** Carry out an operation in the kernel; rejects with one sentence when it cannot be done. */
  request<Op extends keyof Operations>(op: Op, args: Operations[Op][0]): Promise<Operations[Op][1]>;
  /** Call `listener` until the function returned is called. */
  listen(listener: (topic: Topic) => void): () => void;
  /** Count silence from now on. */
  restart(): void;
}

/** One view of a widget. Draws at once and after every change, and lets go of everything at the end. */
export interface View<Traits extends object> {
  model: AnyModel<Traits>;
  link: Link;
  watch(names: (keyof Traits & string) | (keyof Traits & string)[], draw: () => void): void;
  listen(topic: Topic, draw: () => void): void;
  end(): void;
}

/** A node of the layer tree: a stage, a module, or a layer (`kind` is its class then). `leaves` are the layers in it. */
export interface TreeNode {
  id: string;
  depth: number;
  label: string;
  kind: string;
  params: number;
  parent: TreeNode | null;
  children: TreeNode[];
  leaves: TreeNode[];
}

/** A line of a chart: points [x, y], where null is a gap, and marks [x, y, whether it is large]. */
export interface Line {
  name: string;
  kind: "val" | "train";
  points: Point[];
  marks?: [number, number | null, boolean][];
}

type TagName<Spec extends string> = Spec extends `${infer Name}.${string}` ? Name : Spec;

/** The element that a specification such as "div.class" or "svg:path" stands for. */
export type Made<Spec extends string> =
  TagName<Spec> extends `svg:${infer Name}`
    ? Name extends keyof SVGElementTagNameMap
      ? SVGElementTagNameMap[Name]
      : SVGElement
    : TagName<Spec> extends keyof HTMLElementTagNameMap
      ? HTMLElementTagNameMap[TagName<Spec>]
      : HTMLElement;

type Handlers = {
  [Name in keyof GlobalEventHandlers as Name extends `on${string}` ? Name : never]?: GlobalEventHandlers[Name];
};

/** Attributes, properties (`.value`) and listeners (`onclick`) of an element. */
export type Props = Handlers & { [name: string]: unknown };

export type Child = Node | string | null | undefined;
