import { candidateText } from './candidate.js'
import { capacityOf } from './estimate.js'
import type { Halved, Rung } from './halving.js'
import type { OptimizeOptions, OptimizeWorld } from './options.js'
import { paretoFront } from './pareto.js'
import { bestOf, choose, gainOf, slowerThanBase } from './recommend.js'
import { batchingSentences, type Costs, firstSentences, quantisationSentences } from './sentences.js'
import type { Candidate, CandidateResult, Figures, Gain, OptimizeReport, VariantVerdict, Verified } from './types.js'
import { OPTIMIZE_SCHEMA } from './types.js'

/** What a search found, before anything is said about it. */
export interface ReportParts {
  readonly options: Pick<OptimizeOptions, 'limitUs' | 'accuracyDrop' | 'repeats' | 'seed' | 'rate'>
  readonly world: Pick<OptimizeWorld, 'machine'>
  readonly base: string
  readonly data?: NonNullable<OptimizeReport['data']>
  readonly verdicts: readonly VariantVerdict[]
  readonly halved: readonly Halved[]
  readonly rungs: readonly Rung[]
  readonly gridSeconds: number
  readonly leftOut: OptimizeReport['leftOut']
  readonly spentSeconds: number
  readonly resumed: number
}

/** Chooses, and says what the figures say. `verify` runs the chosen setting once more, at a rate below its capacity. */
export async function reportOf(
  parts: ReportParts,
  verify: (one: Candidate, capacity: number) => Promise<Verified>,
): Promise<OptimizeReport> {
  const { options, base, halved, rungs, world, data } = parts
  const finalists = halved.filter((one) => one.finalist)
  const verdicts = withoutSlower(parts.verdicts, finalists, base)
  const verdictOf = (one: Halved): VariantVerdict | undefined =>
    verdicts.find(({ variant, engine }) => variant === one.candidate.variant && engine === one.candidate.engine)
  const { best, recommendation } = choose(finalists, base, (one) => verdictOf(one)?.refused !== undefined)
  const off = (one: Halved): boolean => one.candidate.batching.kind === 'off'
  const baseline = bestOf(finalists, (one) => one.candidate.variant === base && off(one))
  const { batching, quantisation, sentences } = comparisons(finalists, verdicts, base)
  const verified = recommendation && (await verify(recommendation.candidate, recommendation.capacity.value))
  const front = paretoFront(
    halved
      .filter((one) => one.finalist && capacityOf(one.each).value > 0)
      .map((one) => ({ id: one.candidate.id, ...pointOf(one, verdictOf(one)) })),
  )
  return {
    schema: OPTIMIZE_SCHEMA,
    at: Date.now(),
    model: base,
    machine: world.machine,
    slo: { percentile: 'p99', limitUs: options.limitUs },
    ...(options.rate === undefined ? {} : { rate: options.rate }),
    ...(data === undefined ? {} : { data }),
    accuracyDrop: options.accuracyDrop,
    seed: options.seed,
    variants: verdicts,
    results: halved.map((one) => resultOf(one, front)),
    leftOut: parts.leftOut,
    ...(recommendation === undefined
      ? {}
      : { recommendation: { ...recommendation, ...(verified === undefined ? {} : { verified }) } }),
    ...(baseline === undefined ? {} : { baseline: { id: baseline.candidate.id, capacity: capacityOf(baseline.each) } }),
    ...(baseline === undefined || best === undefined ? {} : { gain: gainOf(baseline, best) }),
    batching,
    quantisation,
    sentences,
    search: {
      rungs: rungs.map(({ seconds, repeats }, place) => ({
        candidates: halved.filter((one) => one.rung >= place).length,
        seconds: Number(seconds.toFixed(1)),
        repeats,
      })),
      spentSeconds: Math.round(parts.spentSeconds),
      gridSeconds: Math.round(parts.gridSeconds),
      repeats: options.repeats,
      resumed: parts.resumed,
    },
    notes: notesOf(parts, finalists),
  }
}

/** Variants whose accuracy is good enough, and that are slower than what they were made from. */
function withoutSlower(
  verdicts: readonly VariantVerdict[],
  finalists: readonly Halved[],
  base: string,
): VariantVerdict[] {
  const best = bestOf(finalists, (one) => one.candidate.variant === base)
  return verdicts.map((verdict) => {
    if (verdict.base || verdict.refused !== undefined) return verdict
    const own = bestOf(
      finalists,
      ({ candidate }) => candidate.variant === verdict.variant && candidate.engine === verdict.engine,
    )
    // Another engine may have carried the variant into the last stage; this one fell behind it and says nothing more.
    const elsewhere = own === undefined && finalists.some(({ candidate }) => candidate.variant === verdict.variant)
    const refused = elsewhere ? undefined : slowerThanBase(own, best)
    return refused === undefined ? verdict : { ...verdict, refused }
  })
}

function comparisons(
  finalists: readonly Halved[],
  verdicts: readonly VariantVerdict[],
  base: string,
): Pick<OptimizeReport, 'batching' | 'quantisation' | 'sentences'> {
  const best = (variant: string, batched: boolean): Halved | undefined =>
    bestOf(
      finalists,
      ({ candidate }) => candidate.variant === variant && (candidate.batching.kind !== 'off') === batched,
    )
  const variants = [...new Map(verdicts.map((verdict) => [verdict.variant, verdict])).values()]
  const batching: Gain[] = []
  const quantisation: Gain[] = []
  const said = { batching: [] as string[], quantisation: [] as string[] }
  for (const { variant, precision } of variants) {
    const [off, on] = [best(variant, false), best(variant, true)]
    if (off === undefined || on === undefined) continue
    const gain = gainOf(off, on)
    batching.push(gain)
    const { meanBatch } = on.figures.at(-1) ?? {}
    said.batching.push(
      ...batchingSentences({
        precision: variant === base ? precision : `${precision} (${variant})`,
        gain,
        setting: candidateText(on.candidate).replace(/^[^:]*: /, ''),
        from: costsOf(off),
        to: costsOf(on),
        ...(meanBatch === undefined ? {} : { meanBatch }),
      }),
    )
  }
  const [baseOff, baseOn] = [best(base, false), best(base, true)]
  const baseBytes = variants.find((each) => each.variant === base)?.bytes ?? 0
  let first: { precision: string; gain: Gain; both?: Gain; difference?: Gain['ratio'] } | undefined
  for (const { variant, precision, accuracy, refused, caution, bytes } of variants) {
    if (variant === base) continue
    const [off, on] = [best(variant, false), best(variant, true)]
    const plain = baseOff && off && gainOf(baseOff, off)
    const batched = baseOn && on && gainOf(baseOn, on)
    if (plain) quantisation.push(plain)
    if (batched) quantisation.push(batched)
    const difference = accuracy?.against?.difference
    said.quantisation.push(
      ...quantisationSentences({
        variant,
        precision,
        ...(plain === undefined ? {} : { plain }),
        ...(batched === undefined ? {} : { batched }),
        ...(difference === undefined ? {} : { difference, rows: accuracy?.rows ?? 0 }),
        ...(refused === undefined ? {} : { refused }),
        ...(caution === undefined ? {} : { caution }),
        bytes: { from: baseBytes, to: bytes },
      }),
    )
    if (refused === undefined && plain !== undefined && !(first && first.gain.ratio.value >= plain.ratio.value)) {
      const both = baseOff && on && gainOf(baseOff, on)
      first = {
        precision,
        gain: plain,
        ...(both === undefined ? {} : { both }),
        ...(difference === undefined ? {} : { difference }),
      }
    }
  }
  const [own] = batching.filter((gain) => gain.from === baseOff?.candidate.id)
  const sentences = {
    ...said,
    first: firstSentences({
      ...(own === undefined ? {} : { batching: own }),
      ...(first === undefined
        ? {}
        : { quantisation: first, ...(first.both === undefined ? {} : { both: first.both }) }),
    }),
  }
  return { batching, quantisation, sentences }
}

function costsOf(one: Halved): Costs {
  const last = lastFigures(one)
  const cpuUs = middle(last.flatMap(({ cpuUs: us }) => (us === undefined ? [] : [us])))
  return {
    aloneUs: middle(last.map(({ aloneUs }) => aloneUs)) ?? 0,
    ...(cpuUs === undefined ? {} : { cpuUs }),
    peakRssMb: middle(last.map(({ peakRssMb }) => peakRssMb)) ?? 0,
  }
}

/** Those of the last stage. */
function lastFigures(one: Halved): readonly Figures[] {
  return one.figures.slice(-one.each.length)
}

function middle(values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

function pointOf(one: Halved, verdict: VariantVerdict | undefined) {
  const { cpuUs = 0, peakRssMb } = costsOf(one)
  return {
    accuracy: verdict?.accuracy?.top1?.value ?? verdict?.accuracy?.against?.agreement?.value ?? (verdict?.base ? 1 : 0),
    capacity: capacityOf(one.each).value,
    memoryMb: peakRssMb,
    cpuUs,
  }
}

function resultOf(one: Halved, front: ReadonlySet<string>): CandidateResult {
  return {
    candidate: one.candidate,
    rung: one.rung,
    finalist: one.finalist,
    ...(one.dropped === undefined ? {} : { dropped: one.dropped }),
    capacity: capacityOf(one.each),
    each: one.each,
    figures: one.figures,
    pareto: front.has(one.candidate.id),
  }
}

function notesOf({ options, data, halved }: ReportParts, finalists: readonly Halved[]): string[] {
  const notes: string[] = []
  if (data === undefined)
    notes.push('Accuracy was not measured, since no held-out data were given (--data): variants cannot be recommended.')
  else if (!data.labelled)
    notes.push('The data have no labels: accuracy is judged by how many rows keep their top class.')
  if (options.repeats < 3) notes.push('With fewer than three repeats the intervals say little.')
  const bounded = finalists.flatMap((one) =>
    lastFigures(one).flatMap(({ bound }) => (bound === undefined ? [] : [`${one.candidate.id}: ${bound}`])),
  )
  for (const text of [...new Set(bounded)].slice(0, 5))
    notes.push(`The capacity may be higher than was measured. ${text}.`)
  const late = halved.reduce(
    (sum, one) =>
      sum + one.figures.reduce((n, { trials }) => n + trials.filter(({ invalid }) => invalid !== undefined).length, 0),
    0,
  )
  if (late > 0)
    notes.push(
      `${late} runs were left out, since their generator was late and the limit was missed: the machine was busy with something else, or the rate is more than one thread sends.`,
    )
  return notes
}
