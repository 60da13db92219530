import { describe, expect, it } from 'vitest'
import { candidate, settingsOf, simplerFirst } from '../../../src/optimize/candidate.js'
import { crossing, findCapacity, isotonic } from '../../../src/optimize/capacity.js'
import { pairedCapacity, verdictOf } from '../../../src/optimize/estimate.js'
import { type Halved, halve, rungsOf } from '../../../src/optimize/halving.js'
import { paretoFront } from '../../../src/optimize/pareto.js'
import { choose, judgeAccuracy, slowerThanBase } from '../../../src/optimize/recommend.js'
import { spaceOf } from '../../../src/optimize/space.js'
import type { AccuracyFigures, Batching, Candidate, Figures, TrialFigures } from '../../../src/optimize/types.js'

const OFF: Batching = { kind: 'off' }
const batches = (maxBatch: number, delayUs = 0): Batching => ({ kind: 'static', maxBatch, delayUs })
const one = (parts: Partial<Candidate> = {}): Candidate =>
  candidate({ variant: 'net', engine: 'onnxruntime', batching: OFF, instances: 1, threads: 1, ...parts })

function trial(rate: number, p99Us: number, more: Partial<TrialFigures> = {}): TrialFigures {
  const sent = Math.round(rate)
  return {
    rate,
    seconds: 1,
    sent,
    succeeded: sent,
    p50Us: 1,
    p95Us: 1,
    p99Us,
    p999Us: p99Us,
    throughput: rate,
    goodput: rate,
    ...more,
  }
}

const figures = (capacity: number, more: Partial<Figures> = {}): Figures => ({
  capacity,
  trials: [],
  aloneUs: 1000,
  peakRssMb: 100,
  seconds: 1,
  ...more,
})

const finalist = (candidate: Candidate, each: number[]): Halved => ({
  candidate,
  rung: 1,
  finalist: true,
  figures: each.map((capacity) => figures(capacity)),
  each,
})

describe('the space', () => {
  const model = { name: 'net', maxBatchSize: 8, engines: [{ name: 'onnxruntime', threads: true }] }

  it('leaves out what cannot work, and says why', () => {
    const { candidates, leftOut } = spaceOf([model], {
      cpus: 2,
      limitUs: 20_000,
      batches: [1, 4, 16],
      delays: ['off', 0, 25_000, 'slo'],
      instances: [1, 2],
      threads: [1, 2],
    })
    const ids = candidates.map(({ id }) => id)
    expect(ids).toContain('net onnxruntime off i1 t1')
    expect(ids).toContain('net onnxruntime b4 i2 t1')
    expect(ids).toContain('net onnxruntime slo4 i1 t2')
    expect(ids).toHaveLength(9)
    expect(leftOut).toEqual([
      { what: 'net: batches of 16', why: "the model's max_batch_size is 8" },
      { what: 'a queue delay of 25 ms', why: 'waiting alone would take as long as the contract allows' },
      { what: '2 instances of 2 threads', why: '4 compute threads on 2 CPUs take time from each other' },
    ])
  })

  it('has no batching for a model that takes one row, and no threads for an engine without them', () => {
    const { candidates, leftOut } = spaceOf(
      [{ ...model, maxBatchSize: 0, engines: [{ name: 'null', threads: false }] }],
      {
        cpus: 2,
        limitUs: 20_000,
      },
    )
    expect(candidates.map(({ id }) => id)).toEqual(['net null off i1', 'net null off i2'])
    expect(leftOut[0]?.why).toContain('one row a run')
  })

  it('names each setting by itself', () => {
    const { candidates } = spaceOf([model, { ...model, name: 'net_int8' }], { cpus: 4, limitUs: 20_000 })
    expect(new Set(candidates.map(({ id }) => id)).size).toBe(candidates.length)
  })

  it('keeps preferred sizes that fit, the kind of the instances, and takes away what would change the setting', () => {
    const given = { preferredBatchSizes: [4, 16], group: { kind: 'KIND_CPU', count: 3 } }
    expect(settingsOf(one({ batching: batches(8, 1000), instances: 2, threads: 2 }), 20_000, given)).toEqual({
      max_batch_size: 8,
      dynamic_batching: { preferred_batch_size: [4], max_queue_delay_microseconds: 1000 },
      instance_group: [{ kind: 'KIND_CPU', count: 2 }],
      parameters: {
        'subten.slo': null,
        'subten.count_min': null,
        'subten.count_max': null,
        intra_op_thread_count: '2',
      },
    })
    expect(settingsOf(one(), 20_000, given)).toMatchObject({ dynamic_batching: null })
    expect(settingsOf(one({ batching: { kind: 'slo', maxBatch: 8 } }), 20_000, given).parameters['subten.slo']).toBe(
      '{"p99Ms":20}',
    )
  })
})

describe('the capacity', () => {
  /** p99 of a queue that grows without bound at 1000/s. */
  const queue = (rate: number): number => (rate >= 1000 ? 1e9 : 2000 / (1 - rate / 1000))

  it.each([50, 400, 900, 5000])('is found from a first rate of %i/s', async (from) => {
    const found = await findCapacity({
      limitUs: 20_000,
      from,
      step: 1.3,
      trials: 10,
      trial: async (rate) => trial(rate, queue(rate)),
    })
    expect(found.capacity).toBeGreaterThan(850)
    expect(found.capacity).toBeLessThan(950)
    expect(found.trials.length).toBeLessThanOrEqual(10)
  })

  it('is 0 where no rate keeps the limit', async () => {
    const found = await findCapacity({
      limitUs: 20_000,
      from: 100,
      step: 1.3,
      trials: 6,
      trial: async (rate) => trial(rate, 30_000),
    })
    expect(found).toMatchObject({ capacity: 0 })
    expect(found.bound).toBeUndefined()
  })

  it('does not go above rates at which the generator was late, and says so', async () => {
    const found = await findCapacity({
      limitUs: 20_000,
      from: 100,
      step: 1.3,
      trials: 8,
      trial: async (rate) =>
        rate > 300 ? trial(rate, 90_000, { invalid: 'the generator was late' }) : trial(rate, 3000),
    })
    expect(found.capacity).toBeGreaterThan(150)
    expect(found.capacity).toBeLessThanOrEqual(300)
    expect(found.bound).toBe('the generator was late')
  })

  it('counts a late generator where the limit was kept all the same: the run was harder, not easier', () => {
    expect(crossing([trial(100, 1000), trial(200, 15_000)], 20_000)).toBe(200)
  })

  it('lies between runs on either side, and one lucky run does not raise it', () => {
    const at = crossing([trial(100, 10_000), trial(200, 40_000)], 20_000)
    expect(at).toBeCloseTo(100 * Math.SQRT2, 5)
    const lucky = crossing([trial(100, 10_000), trial(200, 40_000), trial(220, 19_000), trial(240, 50_000)], 20_000)
    expect(lucky).toBeLessThan(200)
  })

  it('fits what does not fall', () => {
    expect(isotonic([1, 3, 2, 4], [1, 1, 1, 1])).toEqual([1, 2.5, 2.5, 4])
    expect(isotonic([3, 2, 1], [1, 1, 2])).toEqual([1.75, 1.75, 1.75])
    expect(isotonic([], [])).toEqual([])
  })
})

describe('successive halving', () => {
  const candidates = Array.from({ length: 12 }, (_, i) =>
    one({ instances: i + 1, batching: i % 2 === 0 ? OFF : batches(8) }),
  )
  const rungs = rungsOf({ candidates: 12, repeats: 3, seconds: 9 })
  const kindOf = ({ batching }: Candidate): string => batching.kind

  it('gives the last stage the most, and less to each before it', () => {
    expect(rungs.map(({ keep, repeats }) => [keep, repeats])).toEqual([
      [4, 1],
      [0, 3],
    ])
    expect(rungs[0]?.seconds).toBeCloseTo(27 / 4)
    expect(rungsOf({ candidates: 60, repeats: 3, seconds: 12 }).map(({ keep }) => keep)).toEqual([20, 7, 4, 0])
    expect(rungsOf({ candidates: 3, repeats: 2, seconds: 5 })).toEqual([
      { seconds: 5, requests: 1000, repeats: 2, keep: 0 },
    ])
  })

  it('keeps the best, and the best of each kind however slow it is', async () => {
    const asked: string[] = []
    const halved = await halve(candidates, rungs, {
      seed: 1,
      kindOf,
      measure: async ({ id, instances, batching }, { rung, hint }) => {
        asked.push(`${rung} ${id} ${hint ?? 'none'}`)
        return figures(batching.kind === 'off' ? 100 + instances : instances)
      },
    })
    const finals = halved.filter((each) => each.finalist).map(({ candidate }) => candidate.instances)
    expect(finals.sort((a, b) => a - b)).toEqual([5, 7, 9, 11, 12])
    expect(halved.find(({ candidate }) => candidate.instances === 12)?.each).toEqual([12, 12, 12])
    expect(halved.find(({ candidate }) => candidate.instances === 3)?.dropped).toMatch(
      /103\/s, where it took \d+\/s to go on/,
    )
    expect(asked.filter((each) => each.startsWith('1 ') && each.endsWith('none'))).toEqual([])
    expect(halved).toHaveLength(12)
  })

  it('goes the same way from the same figures', async () => {
    const orders: string[][] = []
    for (let i = 0; i < 2; i++) {
      const order: string[] = []
      await halve(candidates, rungs, {
        seed: 7,
        kindOf,
        measure: async ({ id, instances }) => {
          order.push(id)
          return figures(instances)
        },
      })
      orders.push(order)
    }
    expect(orders[0]).toEqual(orders[1])
  })

  it('drops what fails, what keeps no rate, and what is only shown, each with its reason', async () => {
    const halved = await halve(candidates.slice(0, 6), rungsOf({ candidates: 6, repeats: 1, seconds: 3 }), {
      seed: 1,
      kindOf,
      showOnly: ({ instances }) => (instances === 6 ? 'its accuracy: too low' : undefined),
      measure: async ({ instances }) =>
        instances === 1 ? figures(0, { failed: 'it crashed' }) : figures(instances === 2 ? 0 : instances),
    })
    const why = (instances: number) => halved.find(({ candidate }) => candidate.instances === instances)?.dropped
    expect(why(1)).toBe('could not be measured: it crashed')
    expect(why(2)).toBe('no rate keeps the contract')
    expect(why(6)).toBe('its accuracy: too low')
  })
})

describe('the choice', () => {
  const none = () => false

  it('takes the highest where it stands out', () => {
    const { recommendation } = choose(
      [finalist(one(), [100, 101, 99]), finalist(one({ batching: batches(8) }), [150, 152, 149])],
      'net',
      none,
    )
    expect(recommendation?.candidate.batching).toEqual(batches(8))
    expect(recommendation?.equals).toEqual([])
  })

  it('takes the simpler of two that cannot be told apart, and says so', () => {
    const { recommendation } = choose(
      [finalist(one(), [100, 101, 99]), finalist(one({ batching: batches(8) }), [101, 99, 101])],
      'net',
      none,
    )
    expect(recommendation?.candidate.batching).toEqual(OFF)
    expect(recommendation?.equals).toEqual([one({ batching: batches(8) }).id])
    expect(recommendation?.why.join()).toContain('cannot be told apart, and this one is simpler')
  })

  it('takes the model itself rather than a variant that is no faster', () => {
    const variant = one({ variant: 'net_int8' })
    expect(
      choose([finalist(variant, [100, 101, 100]), finalist(one(), [100, 100, 100])], 'net', none).recommendation
        ?.candidate.variant,
    ).toBe('net')
  })

  it('takes nothing that was refused, and nothing at all where nothing keeps the contract', () => {
    const better = finalist(one({ variant: 'net_int8' }), [300, 301, 302])
    const refused = (each: Halved): boolean => each.candidate.variant === 'net_int8'
    expect(choose([better, finalist(one(), [100, 101, 99])], 'net', refused).recommendation?.candidate.variant).toBe(
      'net',
    )
    expect(choose([finalist(one(), [0, 0, 0])], 'net', none)).toEqual({})
  })

  it('orders by simplicity', () => {
    const all = [
      one({ variant: 'net_int8' }),
      one({ batching: { kind: 'slo', maxBatch: 8 } }),
      one({ batching: batches(8, 1000) }),
      one({ batching: batches(8) }),
      one({ batching: batches(4, 1000) }),
      one({ threads: 2 }),
      one(),
    ]
    expect([...all].sort(simplerFirst('net')).map(({ id }) => id)).toEqual([...all].reverse().map(({ id }) => id))
  })

  it('refuses a variant that is slower than what it was made from', () => {
    const base = finalist(one(), [100, 101, 99])
    expect(slowerThanBase(finalist(one({ variant: 'net_int8' }), [80, 81, 79]), base)).toMatch(
      /^it is slower here: its best setting has 0\.80×/,
    )
    expect(slowerThanBase(finalist(one({ variant: 'net_int8' }), [180, 181, 179]), base)).toBeUndefined()
    expect(slowerThanBase(undefined, base)).toContain('no setting')
  })
})

describe('the accuracy floor', () => {
  const accuracy = (value: number, low: number, high: number): AccuracyFigures => ({
    model: 'net_int8',
    engine: 'onnxruntime',
    rows: 2000,
    against: { model: 'net', difference: { value, low, high }, outputs: { maxAbs: 1, meanAbs: 0.1, cosine: 0.99 } },
  })

  it.each([
    ['surely lost', -0.03, -0.04, -0.02, 'refused', /surely more than the 1 point that may be lost/],
    ['lost, perhaps', -0.013, -0.02, -0.006, 'refused', /more rows would make it sure/],
    ['kept, perhaps', -0.005, -0.012, 0.002, 'caution', /not surely/],
  ] as const)('%s', (_, value, low, high, kind, says) => {
    expect(judgeAccuracy(accuracy(value, low, high), 1)[kind]).toMatch(says)
  })

  it('accepts what is within it for certain', () => {
    expect(judgeAccuracy(accuracy(-0.002, -0.005, 0.001), 1)).toEqual({})
  })

  it('accepts nothing that was not measured, and judges without labels by the top class', () => {
    expect(judgeAccuracy(undefined, 1).refused).toContain('--data')
    const agreeing = (value: number): AccuracyFigures => ({
      ...accuracy(0, 0, 0),
      against: {
        model: 'net',
        agreement: { value, low: value - 0.01, high: value + 0.01 },
        outputs: { maxAbs: 1, meanAbs: 0.1, cosine: 0.99 },
      },
    })
    expect(judgeAccuracy(agreeing(0.95), 1).refused).toContain('no labels')
    expect(judgeAccuracy(agreeing(0.995), 1).refused).toBeUndefined()
    expect(
      judgeAccuracy(
        { ...accuracy(0, 0, 0), against: { model: 'net', outputs: { maxAbs: 2, meanAbs: 1, cosine: 0.5 } } },
        1,
      ).refused,
    ).toContain('no scores of classes')
  })
})

describe('ratios', () => {
  it.each([
    [[100, 101, 99], [150, 151, 149], 'much'],
    [[100, 101, 99], [115, 116, 114], 'some'],
    [[100, 101, 99], [101, 101, 100], 'nothing'],
    [[100, 101, 99], [80, 81, 79], 'harms'],
    [[100, 130, 80], [120, 110, 130], 'undecided'],
    [[100], [200], 'undecided'],
  ] as const)('%j to %j: %s', (from, to, verdict) => {
    expect(verdictOf(pairedCapacity(from, to))).toBe(verdict)
  })

  it('take out what the repeats share', () => {
    const ratio = pairedCapacity([100, 200, 50], [150, 300, 75])
    expect(ratio.value).toBeCloseTo(1.5)
    expect(ratio.high - ratio.low).toBeLessThan(0.001)
  })
})

describe('the Pareto front', () => {
  const point = (id: string, accuracy: number, capacity: number, memoryMb = 100, cpuUs = 1000) => ({
    id,
    accuracy,
    capacity,
    memoryMb,
    cpuUs,
  })

  it('has what no other beats in everything', () => {
    const front = paretoFront([
      point('a', 0.99, 100),
      point('b', 0.98, 200),
      point('c', 0.98, 150),
      point('d', 0.97, 100, 50),
    ])
    expect([...front].sort()).toEqual(['a', 'b', 'd'])
  })

  it('keeps both of two that are alike', () => {
    expect(paretoFront([point('a', 0.99, 100), point('b', 0.99, 101)]).size).toBe(2)
  })
})
