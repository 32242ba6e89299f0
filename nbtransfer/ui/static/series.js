/** @import { News } from "./messages" */
/** @import { Series } from "./types" */

// The curves of a run as this page knows them. The kernel sends only what is new.

/** @type {Series} */
export const NOTHING = { progress: null, points: [], rows: [] };

/**
 * The series with the news in it. What stands before `points_from` and `rows_from` stays as it is.
 * @param {Series} series
 * @param {News} news
 * @returns {Series}
 */
export function merged(series, news) {
  return {
    progress: news.progress,
    points: series.points.slice(0, news.points_from).concat(news.points),
    rows: series.rows.slice(0, news.rows_from).concat(news.rows),
  };
}
