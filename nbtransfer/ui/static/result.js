/** @import { Mistake, ResultFacts, RunTraits, ScoreFacts } from "./messages" */
/** @import { View } from "./types" */

import { drawn, fill, h, section, table } from "./dom.js";
import { quantity, score } from "./text.js";

/**
 * Scores, confusion matrix and worst mistakes of a run that has ended.
 * @param {View<RunTraits>} view
 */
export function result(view) {
  const { model } = view;
  const body = h("div");
  const whole = section("Result", body);
  view.watch("result", () => {
    const found = model.get("result");
    whole.hidden = !("scores" in found);
    if (!("scores" in found)) return;
    fill(
      body,
      found.scores.map((score) => h("p", {}, scoreText(score))),
      h("div.nbt-side", {}, drawn(found.confusion), table(found.header, found.rows)),
      mistakes(found),
      h("p.nbt-soft", {}, found.receipt),
    );
  });
  return whole;
}

/** @param {ScoreFacts} score */
export function scoreText({ split, accuracy, interval, correct, examples }) {
  const [low, high] = interval.map(score);
  return `${split}: accuracy ${score(accuracy)} (95 % ${low}–${high}), ${correct} of ${examples} correct`;
}

/** @param {ResultFacts} found */
function mistakes({ mistakes: shown, wrong, split }) {
  if (!wrong) return h("p", {}, `No mistakes on the ${split} images.`);
  const title = `${quantity(wrong, "mistake")} on the ${split} images, worst first`;
  return h("div", {}, h("p", {}, title), h("div.nbt-images", {}, ...shown.map(mistakeFigure)));
}

/** @param {Mistake} mistake */
const mistakeFigure = ({ picture, answer, source }) =>
  h("figure", {}, picture && h("img", { src: picture, alt: source }), h("figcaption", {}, answer, h("br"), source));
