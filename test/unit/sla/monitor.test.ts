import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Model } from '../../../src/runtime/types.js'
import { SlaMonitor } from '../../../src/sla/monitor.js'
import type { EventCounts, Indicator, Objective, SlaEvent } from '../../../src/sla/types.js'
import { fakeModel } from '../../../src/testing.js'
import { closedAfter, loaded, row, slowEcho } from '../runtime/loaded.js'
import { contract, DAY, MINUTE, objective, SECOND, TestClock } from './objectives.js'

const monitors: SlaMonitor[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(monitors.splice(0).map((monitor) => monitor.close()))
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })))
})

const echo = (
  indicator: Partial<Indicator> & { kind: Indicator['kind'] },
  changes: Partial<Objective> = {},
): Objective =>
  objective({
    name: `echo-${indicator.kind}`,
    target: 0.9,
    indicator: { model: 'echo', point: 'engine', ...indicator } as Indicator,
    ...changes,
  })

async function measuring(objectives: Objective[], stateFile?: string) {
  const clock = new TestClock()
  const monitor = await SlaMonitor.open(contract(...objectives), { clock, ticking: false, stateFile })
  monitors.push(monitor)
  const tick = (): void => {
    clock.pass(SECOND)
    monitor.tick()
  }
  const counted = (name: string): EventCounts | undefined =>
    monitor.status().objectives.find((each) => each.objective.name === name)?.counted
  return { clock, monitor, tick, counted }
}

describe('the engine point', () => {
  it('counts what ended well in time and late, and what was refused, failed or expired as bad; aborts apart', async () => {
    const { monitor, tick, counted } = await measuring([
      echo({ kind: 'availability' }),
      echo({ kind: 'latency', thresholdUs: 20_000 }, { name: 'fast' }),
      echo({ kind: 'latency', thresholdUs: 60_000_000 }, { name: 'ever' }),
    ])
    const model = await slowEcho(40, { max_batch_size: 1, maxQueueSize: 3, dynamic_batching: undefined })
    monitor.attach(model)
    const aborting = new AbortController()
    const ends = [
      model.infer(row(1)),
      model.infer(row(2), { signal: aborting.signal }),
      model.infer(row(3), { deadlineMs: 5 }),
      ...Array.from({ length: 6 }, () => model.infer(row(4))),
    ]
    aborting.abort()
    const settled = await Promise.allSettled(ends)
    const codes = settled.map((each) => (each.status === 'fulfilled' ? 'ok' : (each.reason.code as unknown)))
    const of = (code: unknown): number => codes.filter((each) => each === code).length
    expect(of('QUEUE_FULL')).toBeGreaterThan(0)
    expect(of('DEADLINE_EXCEEDED')).toBe(1)
    tick()
    const bad = of('QUEUE_FULL') + 1
    expect(counted('echo-availability')).toEqual({ good: of('ok'), total: of('ok') + bad, excluded: 1 })
    expect(counted('ever')).toEqual({ good: of('ok'), total: of('ok') + bad, excluded: 1 })
    // Every run burns 40 ms.
    expect(counted('fast')).toEqual({ good: 0, total: of('ok') + bad, excluded: 1 })
  })

  it('counts no bad inputs: they are the mistakes of the caller', async () => {
    const { monitor, tick, counted } = await measuring([echo({ kind: 'availability' })])
    const model = await loaded('models/echo')
    monitor.attach(model)
    await expect(model.infer({ wrong: new Float32Array(64) })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await model.infer(row(1))
    tick()
    expect(counted('echo-availability')).toEqual({ good: 1, total: 1, excluded: 0 })
  })

  it('a request that waits for room and is served is no refusal; one whose time is up while it waits has expired', async () => {
    const { monitor, tick, counted } = await measuring([echo({ kind: 'availability' })])
    const model = await slowEcho(20, {
      whenFull: 'wait',
      maxQueueSize: 1,
      max_batch_size: 1,
      dynamic_batching: undefined,
    })
    monitor.attach(model)
    const ends = [
      ...Array.from({ length: 6 }, () => model.infer(row(1))),
      model.infer(row(1), { deadlineMs: 10 }).catch(() => {}),
    ]
    await Promise.all(ends)
    tick()
    expect(counted('echo-availability')).toEqual({ good: 6, total: 7, excluded: 0 })
    expect(model.stats().requests).toMatchObject({ refused: 0, expired: 1, succeeded: 6 })
  })

  it('loses and doubles nothing when figures are reset between two ticks, and stats() begin anew', async () => {
    const { monitor, tick, counted } = await measuring([
      echo({ kind: 'availability' }),
      echo({ kind: 'latency', thresholdUs: 60_000_000 }),
    ])
    const model = await loaded('models/echo')
    await model.infer(row(1)) // before it is measured
    monitor.attach(model)
    let sent = 0
    for (let i = 0; i < 20; i++) {
      await Promise.all(Array.from({ length: i }, () => model.infer(row(i))))
      sent += i
      if (i % 3 === 0) model.resetStats()
      await model.infer(row(i))
      sent++
      if (i % 4 === 0) tick()
    }
    tick()
    expect(counted('echo-availability')).toEqual({ good: sent, total: sent, excluded: 0 })
    expect(counted('echo-latency')).toEqual({ good: sent, total: sent, excluded: 0 })
    model.resetStats()
    expect(model.stats()).toMatchObject({
      requests: { submitted: 0, succeeded: 0 },
      stages: { total: { count: 0, p50: 0 } },
    })
    await model.infer(row(1))
    const { requests, stages } = model.stats()
    expect([requests.succeeded, stages.total.count, stages.compute.count]).toEqual([1, 1, 1])
    expect(stages.total.max).toBeGreaterThan(0)
  })

  it('counts what worker threads ask of the model, also of those that have gone', async () => {
    const { monitor, tick, counted } = await measuring([
      echo({ kind: 'availability' }),
      echo({ kind: 'latency', thresholdUs: 60_000_000 }),
    ])
    const model = await loaded('models/echo')
    monitor.attach(model)
    const code = `
      const { workerData, parentPort } = require('node:worker_threads')
      const { attach } = require(workerData.subten)
      const model = attach(workerData.token)
      const row = { input: new Float32Array(64) }
      Promise.all(Array.from({ length: 50 }, () => model.infer(row))).then(() => model.close())`
    const workerData = { subten: join(process.cwd(), 'dist', 'index.cjs'), token: model.share() }
    const gone = Array.from({ length: 2 }, () => {
      const worker = new Worker(code, { eval: true, workerData })
      return new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    })
    for (let i = 0; i < 5; i++) await model.infer(row(i))
    tick()
    await Promise.all(gone)
    tick()
    expect(counted('echo-availability')).toEqual({ good: 105, total: 105, excluded: 0 })
    expect(counted('echo-latency')).toEqual({ good: 105, total: 105, excluded: 0 })
    expect(model.stats().stages.total.count).toBe(105)
  })

  it('counts what a model did between its last tick and its close, and goes on with the one loaded after it', async () => {
    const { monitor, tick, counted } = await measuring([echo({ kind: 'availability' })])
    for (let restart = 1; restart <= 3; restart++) {
      const model = await loaded('models/echo')
      monitor.attach(model)
      await model.infer(row(1))
      await model.close()
      tick()
      expect(counted('echo-availability')).toEqual({ good: restart, total: restart, excluded: 0 })
    }
  })

  it('thresholds are those of the histogram: a latency at most 0.1 % over may pass', async () => {
    const model = await slowEcho(5)
    for (let i = 0; i < 20; i++) await model.infer(row(i))
    const { monitor } = await measuring([])
    monitor.attach(model)
    const { max } = model.stats().stages.total
    const { measuredOf } = await import('../../../src/runtime/measured.js')
    const totals = measuredOf(model)?.totals([1, max * 0.998, max * 1.002, 1e12])
    expect(totals?.within[0]).toBe(0)
    expect(totals?.within[1]).toBeLessThan(20)
    expect(totals?.within.slice(2)).toEqual([20, 20])
  })
})

describe('goodput', () => {
  it('counts seconds: good when enough ended in time, or all that were asked; seconds without requests do not count', async () => {
    const { monitor, tick, counted } = await measuring([
      echo({ kind: 'goodput', thresholdUs: 60_000_000, perSecond: 10 }),
    ])
    const model = await loaded('models/echo', { maxQueueSize: 4096 })
    monitor.attach(model)
    const many = (n: number): Promise<unknown> => Promise.all(Array.from({ length: n }, () => model.infer(row(1))))
    tick() // nothing was asked
    await many(20)
    tick() // enough
    await many(3)
    tick() // few, but all that were asked
    await Promise.all([many(3), model.infer(row(1), { deadlineMs: 0 }).catch(() => {})])
    tick() // neither
    expect(counted('echo-goodput')).toEqual({ good: 2, total: 3, excluded: 0 })
  })
})

describe('what is reported', () => {
  const objectives = (): Objective[] => [
    objective({ name: 'right', target: 0.9, indicator: { kind: 'accuracy', model: 'fake' } }),
    objective({ name: 'timely', target: 0.9, indicator: { kind: 'freshness', model: 'fake', thresholdUs: 1e6 } }),
    objective({
      name: 'seen',
      target: 0.9,
      indicator: { kind: 'latency', model: 'fake', point: 'client', thresholdUs: 1e4 },
    }),
    objective({ name: 'ours', target: 0.9, indicator: { kind: 'availability', model: 'fake', point: 'engine' } }),
  ]
  const fake = (): Model => fakeModel({ inputs: [], outputs: [] })

  it('is counted by the name of the objective, or by its kind', async () => {
    const { monitor, counted } = await measuring(objectives())
    const model = fake()
    monitor.attach(model)
    model.sla.record('accuracy', { good: 9, total: 10 })
    model.sla.record('right', { good: 1, total: 1 })
    model.sla.record('timely', { good: 5, total: 5, excluded: 2 })
    monitor.record([{ objective: 'seen', good: 3, total: 4 }])
    expect(counted('right')).toEqual({ good: 10, total: 11, excluded: 0 })
    expect(counted('timely')).toEqual({ good: 5, total: 5, excluded: 2 })
    expect(counted('seen')).toEqual({ good: 3, total: 4, excluded: 0 })
    expect(model.sla.status().objectives).toHaveLength(4)
  })

  it.each([
    ['nothing', { good: 1, total: 1 }, 'is no objective of the contract'],
    ['ours', { good: 1, total: 1 }, 'is measured by subten itself'],
    ['right', { good: 2, total: 1 }, 'good <= total'],
    ['right', { good: -1, total: 1 }, 'whole numbers'],
    ['right', { good: 0.5, total: 1 }, 'whole numbers'],
    ['right', { good: 1, total: Number.POSITIVE_INFINITY }, 'whole numbers'],
    ['right', {} as { good: number; total: number }, 'whole numbers'],
  ])('refuses %j of %j: %s', async (name, counts, message) => {
    const { monitor, counted } = await measuring(objectives())
    const model = fake()
    monitor.attach(model)
    expect(() => model.sla.record(name, counts)).toThrow(message)
    const reports = [
      { objective: 'right', good: 1, total: 1 },
      { objective: name, ...counts },
    ]
    expect(() => monitor.record(reports)).toThrow(message)
    expect(counted('right')?.total).toBe(0)
  })

  it('of a model without a contract is refused with what to do', () => {
    expect(() => fake().sla.record('accuracy', { good: 1, total: 1 })).toThrow('without an SLA contract')
    expect(() => fake().sla.status()).toThrow('without an SLA contract')
  })
})

it('objectives of models that are not loaded are listed as such, and of points where nobody measures', async () => {
  const { monitor } = await measuring([
    objective({ name: 'gone', indicator: { kind: 'availability', model: 'other', point: 'engine' } }),
    echo({ kind: 'availability', point: 'edge' }),
    objective({ name: 'told', indicator: { kind: 'accuracy', model: 'echo' } }),
  ])
  monitor.attach(await loaded('models/echo'))
  expect(monitor.status().objectives.map(({ notMeasured }) => notMeasured)).toEqual([
    "model 'other' is not loaded",
    'no server of this process measures at the edge',
    'nothing has been reported',
  ])
})

it('an enforced latency is the deadline of requests that have none of their own', async () => {
  const { monitor } = await measuring([
    echo({ kind: 'latency', thresholdUs: 30_000 }, { name: 'a', enforce: true }),
    echo({ kind: 'latency', thresholdUs: 10_000 }, { name: 'b' }),
  ])
  const model = await slowEcho(300, { max_batch_size: 1, dynamic_batching: undefined })
  monitor.attach(model)
  const running = model.infer(row(1), { deadlineMs: Number.POSITIVE_INFINITY })
  await vi.waitFor(() => expect(model.stats().running.batches).toBe(1))
  const queued = model.infer(row(2))
  const own = model.infer(row(3), { deadlineMs: 10_000 })
  const none = model.infer(row(4), { deadlineMs: Number.POSITIVE_INFINITY })
  await expect(queued).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  await Promise.all([running, own, none])
})

describe('events', () => {
  const policy = {
    name: 'fast',
    conditions: [{ severity: 'page', burnRate: 5, longMs: MINUTE, shortMs: 5 * SECOND } as const],
    targets: [],
  }

  async function breaking() {
    const { monitor, tick, clock } = await measuring([
      objective({ name: 'right', target: 0.9, alerts: [policy], indicator: { kind: 'accuracy', model: 'fake' } }),
    ])
    const model = fakeModel({ inputs: [], outputs: [] })
    monitor.attach(model)
    const fail = (): void => {
      model.sla.record('right', { good: 0, total: 10 })
      tick()
    }
    const recover = (): void => {
      clock.pass(2 * MINUTE)
      model.sla.record('right', { good: 1000, total: 1000 })
      tick()
    }
    return { model, monitor, fail, recover }
  }

  it('come to listeners of the model and to the channel, with what is needed to act on them', async () => {
    const { model, fail, recover } = await breaking()
    const seen: SlaEvent[] = []
    const published: unknown[] = []
    const onMessage = (event: unknown): unknown => published.push(event)
    subscribe('subten:sla', onMessage)
    model.on('sla', (event) => seen.push(event))
    fail()
    fail()
    recover()
    unsubscribe('subten:sla', onMessage)
    expect(seen.map(({ type }) => type)).toEqual(['alert', 'broken', 'resolved', 'met'])
    expect(published).toEqual(seen)
    expect(seen[0]).toMatchObject({
      model: 'fake',
      objective: 'right',
      service: 'reading',
      owner: 'team-a',
      consequences: 'a refund of 10 %',
      alert: { policy: 'fast', severity: 'page', firing: true, longBurn: expect.closeTo(10, 6) },
      status: { state: 'broken' },
    })
  })

  it('once() hears one, off() none', async () => {
    const { model, fail, recover } = await breaking()
    const once = vi.fn()
    const never = vi.fn()
    model.once('sla', once).on('sla', never).off('sla', never)
    fail()
    recover()
    expect(once).toHaveBeenCalledTimes(1)
    expect(never).not.toHaveBeenCalled()
    expect(() => model.on('slo' as 'sla', never)).toThrow('a model has no event "slo"')
    expect(() => model.on('sla', 1 as never)).toThrow('must be a function')
  })

  it('listeners run in the context in which they were added, and one that throws stops nobody', async () => {
    const { model, fail } = await breaking()
    const storage = new AsyncLocalStorage<string>()
    const contexts: unknown[] = []
    const warnings: string[] = []
    const onWarning = (warning: Error): unknown => warnings.push(warning.message)
    process.on('warning', onWarning)
    model.on('sla', () => {
      throw new Error('mine')
    })
    model.on('sla', async () => {
      throw new Error('later')
    })
    storage.run('a', () => model.on('sla', () => contexts.push(storage.getStore())))
    storage.run('b', () => model.on('sla', () => contexts.push(storage.getStore())))
    storage.run('tick', fail)
    expect(contexts.slice(0, 2)).toEqual(['a', 'b'])
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warnings.join('\n')).toMatch(/mine[\s\S]*later/)
  })
})

describe('a state file', () => {
  it('carries counts, alerts and what is broken over a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'subten-sla-'))
    folders.push(folder)
    const stateFile = join(folder, 'state')
    const policy = {
      name: 'fast',
      conditions: [{ severity: 'page', burnRate: 5, longMs: MINUTE, shortMs: 5 * SECOND } as const],
      targets: [],
    }
    const promise = objective({
      name: 'right',
      target: 0.9,
      alerts: [policy],
      indicator: { kind: 'accuracy', model: 'fake' },
    })
    const clock = new TestClock()
    const open = (objectives: Objective[]): Promise<SlaMonitor> =>
      SlaMonitor.open(contract(...objectives), { clock, ticking: false, stateFile })
    const zeroth = await open([promise])
    const since = zeroth.status().since
    zeroth.record([{ objective: 'right', good: 90, total: 100, excluded: 7 }])
    await zeroth.close()
    clock.pass(10 * DAY)
    const first = await open([promise])
    first.record([{ objective: 'right', good: 40, total: 100 }])
    first.tick()
    const before = first.status().objectives[0]
    expect(before).toMatchObject({ state: 'broken', events: { good: 130, total: 200, excluded: 7 } })
    await first.close()

    clock.pass(SECOND)
    const second = await open([promise])
    const told: SlaEvent[] = []
    second.onEvent((event) => told.push(event))
    second.tick()
    expect(second.status().since).toBe(since)
    expect(second.status().objectives[0]).toMatchObject({
      state: 'broken',
      events: before?.events,
      alerts: [{ firing: true, since: before?.alerts[0]?.since }],
      counted: { total: 0 },
    })
    expect(told).toEqual([]) // it was told before the restart
    clock.pass(MINUTE)
    second.tick()
    expect(told.map(({ type }) => type)).toEqual(['resolved'])
    await second.close()

    // A promise of something else under the same name has no events yet; put back, it has its own again.
    const other = { ...promise, indicator: { kind: 'accuracy', model: 'new' } } as Objective
    const third = await open([other])
    expect(third.status().objectives[0]?.events.total).toBe(0)
    await third.close()
    const fourth = await open([promise])
    expect(fourth.status().objectives[0]?.events).toEqual(before?.events)
    await fourth.close()
  })
})

it('a model that nobody knows any more is collected while it is measured', async () => {
  const { monitor } = await measuring([echo({ kind: 'availability' })])
  if (globalThis.gc === undefined) {
    const { setFlagsFromString } = await import('node:v8')
    const { runInNewContext } = await import('node:vm')
    setFlagsFromString('--expose-gc')
    globalThis.gc = runInNewContext('gc') as NodeJS.GCFunction
  }
  let model: Model | undefined = fakeModel({ name: 'echo', inputs: [], outputs: [] })
  monitor.attach(model)
  expect(monitor.attached).toBe(true)
  model = undefined
  await vi.waitFor(() => {
    globalThis.gc?.()
    expect(monitor.attached).toBe(false)
  }, 10_000)
})

it('closing is waited for by the last model of a contract that was given to load', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'subten-sla-'))
  folders.push(folder)
  const slaState = join(folder, 'state')
  const sla = contract(echo({ kind: 'availability' }))
  const one = await loaded('models/echo', { sla, slaState })
  const two = await loaded('models/echo', { sla, slaState })
  await expect(loaded('models/echo', { sla })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(loaded('models/echo', { sla: { ...sla }, slaState })).rejects.toThrow('in use by another process')
  await one.infer(row(1))
  await two.infer(row(1))
  await one.close()
  await two.close()
  const again = closedAfter(await loaded('models/echo', { sla, slaState }))
  await vi.waitFor(() => expect(again.sla.status().objectives[0]?.events).toMatchObject({ good: 2, total: 2 }), 5000)
})

it('options of load that concern the contract are checked', async () => {
  await expect(loaded('models/echo', { sla: 5 as never })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(loaded('models/echo', { slaState: 'x' })).rejects.toThrow('needs sla')
})
