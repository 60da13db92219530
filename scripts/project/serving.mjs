// Every setting under the same Poisson load over HTTP: pictures as bytes, as a browser or a camera sends them.
import { profile } from 'subten'
import { say } from '../step.mjs'

/** Before each run is counted. */
export const WARMUP_SECONDS = 1

/**
 * Measures each setting `repeats` times, in rounds, so that what drifts in the machine meets all of them alike.
 *
 * @returns the settings, each with its `runs`
 */
export async function measureServing(url, settings, { rate, seconds, repeats, image, slaMs, protocol = 'classify' }) {
  const measured = settings.map((setting) => ({ ...setting, runs: [] }))
  for (let repeat = 1; repeat <= repeats; repeat++) {
    // Another order in each round: no setting always comes after the same one.
    const order = measured.map((_, i) => measured[(i * 5 + repeat) % measured.length])
    for (const setting of new Set([...order, ...measured])) {
      const { name } = setting
      say(`round ${repeat} of ${repeats}: ${name} at ${rate}/s`)
      const run = await profile(
        { url, protocol, model: name, image },
        {
          load: { kind: 'poisson', rate },
          label: `${setting.precision}, batching ${setting.batching}, ${setting.engine}`,
          seconds,
          warmup: WARMUP_SECONDS,
          seed: repeat,
          goodWithinUs: slaMs * 1000,
          lateAllowed: 0.05,
        },
      )
      setting.runs.push(run)
    }
  }
  return measured
}

/** The run in the middle by p99: what is shown in detail. */
export function middle(runs) {
  const p99 = (run) => run.latencyUs.p99.value ?? run.latencyUs.max
  return [...runs].sort((a, b) => p99(a) - p99(b))[Math.floor((runs.length - 1) / 2)]
}

/** A percentile over the runs: median, lowest and highest, microseconds; undefined where no run has samples enough. */
export function over(runs, percentile) {
  const values = runs.flatMap((run) => run.latencyUs[percentile].value ?? []).sort((a, b) => a - b)
  if (values.length === 0) return undefined
  return { median: values[Math.floor((values.length - 1) / 2)], low: values[0], high: values.at(-1) }
}
