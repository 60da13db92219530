import { request as httpRequest } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ModelHost } from '../../../src/server/model-host.js'
import { createServer, type Server } from '../../../src/server/server.js'
import { SlaMonitor } from '../../../src/sla/monitor.js'
import type { EventCounts, Indicator, Objective, SlaReport, SlaStatus } from '../../../src/sla/types.js'
import type { FakeBehaviour } from '../../../src/testing.js'
import { loaded, row } from '../runtime/loaded.js'
import { contract, objective, WORKBOOK } from '../sla/objectives.js'
import { echoModel, get, post, vector } from './running-server.js'

const running: Server[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

const about = (name: string, indicator: Indicator, changes: Partial<Objective> = {}): Objective =>
  objective({ name, target: 0.9, indicator, ...changes })

const edge = (name: string, thresholdUs: number): Objective =>
  about(name, { kind: 'latency', model: 'echo', point: 'edge', thresholdUs })

async function serving(objectives: Objective[], behaviour: FakeBehaviour = {}) {
  const sla = await SlaMonitor.open(contract(...objectives), { ticking: false })
  const model = echoModel(vector, behaviour)
  sla.attach(model)
  const server = await createServer({ models: ModelHost.of(model), sla, limits: { stopTimeoutMs: 2000 } })
  running.push(server)
  const url = await server.listen({ port: 0 })
  const counted = (name: string): EventCounts | undefined => {
    sla.tick()
    return sla.status().objectives.find((each) => each.objective.name === name)?.counted
  }
  return { url, sla, counted }
}

const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }

describe('the edge', () => {
  it('counts answers in time and late, failures as bad, mistakes of the client not at all', async () => {
    const { url, counted } = await serving([edge('fast', 1), edge('slow', 60e6)], { failEvery: 4 })
    for (let i = 0; i < 8; i++) await post(`${url}/v2/models/echo/infer`, body)
    await post(`${url}/v2/models/echo/infer`, 'no JSON')
    await post(`${url}/v2/models/unknown/infer`, body)
    await get(`${url}/v2/models/echo`)
    await vi.waitFor(() => expect(counted('slow')).toEqual({ good: 6, total: 8, excluded: 0 }))
    expect(counted('fast')).toEqual({ good: 0, total: 8, excluded: 0 })
  })

  it('counts clients that go away before their answer apart', async () => {
    const { url, counted } = await serving([edge('slow', 60e6)], { latencyMs: 300 })
    const leaving = httpRequest(`${url}/v2/models/echo/infer`, { method: 'POST' })
    leaving.on('error', () => {})
    leaving.end(JSON.stringify(body))
    setTimeout(() => leaving.destroy(), 100)
    await vi.waitFor(() => expect(counted('slow')).toEqual({ good: 0, total: 0, excluded: 1 }), 5000)
  })

  it('counts a deadline that has passed as bad', async () => {
    const { url, counted } = await serving([edge('slow', 60e6)], { latencyMs: 50 })
    const late = await post(`${url}/v2/models/echo/infer`, body, { 'x-request-deadline': '5' })
    expect(late.status).toBe(504)
    await vi.waitFor(() => expect(counted('slow')).toEqual({ good: 0, total: 1, excluded: 0 }))
  })
})

describe('GET /v1/sla', () => {
  it('tells how every objective stands, and no secret of the contract', async () => {
    const alerts = [{ ...WORKBOOK, targets: [{ name: 'chat', url: 'https://hooks.example/s3cret' }] }]
    const { url, sla } = await serving([{ ...edge('slow', 60e6), alerts }, edge('other', 1)])
    await post(`${url}/v2/models/echo/infer`, body)
    await vi.waitFor(() => {
      sla.tick()
      expect(sla.status().objectives[0]?.events.total).toBe(1)
    })
    const response = await fetch(`${url}/v1/sla`)
    const text = await response.text()
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(text).not.toMatch(/s3cret|\/srv\//)
    const status = JSON.parse(text) as SlaStatus
    expect(status.objectives).toMatchObject([
      { objective: { name: 'slow' }, state: 'met', compliance: 1, events: { good: 1, total: 1 } },
      { objective: { name: 'other' }, state: 'broken', compliance: 0 },
    ])
  })

  it('says 404 and what to do where the server has no contract', async () => {
    const server = await createServer({ models: ModelHost.of(echoModel(vector)) })
    running.push(server)
    const url = await server.listen({ port: 0 })
    for (const path of ['/v1/sla', '/v1/sla/report']) {
      const { status, json } = await get(url + path)
      expect(status).toBe(404)
      expect(json.error.remedy).toContain('--sla FILE')
    }
  })
})

describe('POST /v1/sla/events', () => {
  const objectives = [about('right', { kind: 'accuracy', model: 'echo' }), edge('slow', 60e6)]

  it('counts one report or a list', async () => {
    const { url, counted } = await serving(objectives)
    const one = await post(`${url}/v1/sla/events`, { objective: 'right', good: 9, total: 10 })
    expect([one.status, one.json]).toEqual([202, { accepted: 1 }])
    const two = await post(`${url}/v1/sla/events`, [
      { objective: 'accuracy', model: 'echo', good: 1, total: 1 },
      { objective: 'right', good: 0, total: 1, excluded: 2 },
    ])
    expect(two.json).toEqual({ accepted: 2 })
    expect(counted('right')).toEqual({ good: 10, total: 12, excluded: 2 })
  })

  it.each([
    ['not JSON', 'not JSON'],
    [{ good: 1, total: 1 }, 'needs'],
    [{ objective: 'none', good: 1, total: 1 }, 'no objective of the contract'],
    [{ objective: 'slow', good: 1, total: 1 }, 'measured by subten itself'],
    [{ objective: 'right', good: 2, total: 1 }, 'good <= total'],
    [{ objective: 'right', good: '1', total: 1 }, 'whole numbers'],
    [{ objective: 'right', model: 5, good: 1, total: 1 }, 'name of a model'],
    [{ objective: 'right', model: 'other', good: 1, total: 1 }, 'no objective'],
    [Array.from({ length: 1001 }, () => ({ objective: 'right', good: 1, total: 1 })), 'at most 1000'],
  ])('refuses %j and counts nothing of it', async (report, why) => {
    const { url, counted } = await serving(objectives)
    const { status, json } = await post(`${url}/v1/sla/events`, report)
    expect(status).toBe(400)
    expect(json.error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(why) })
    expect(counted('right')?.total).toBe(0)
  })
})

it('GET /metrics has every objective with its labels', async () => {
  const { url, sla } = await serving([
    { ...edge('slow', 60e6), alerts: [WORKBOOK] },
    about('right', { kind: 'accuracy', model: 'echo' }, { alerts: [WORKBOOK] }),
  ])
  sla.record([{ objective: 'right', good: 1, total: 4, excluded: 3 }])
  sla.tick()
  const text = await (await fetch(`${url}/metrics`)).text()
  const of = 'objective="right",service="reading",model="echo"'
  for (const line of [
    `subten_sla_good_events_total{${of}} 1`,
    `subten_sla_events_total{${of}} 4`,
    `subten_sla_excluded_events_total{${of}} 3`,
    `subten_sla_target{${of}} 0.9`,
    `subten_sla_error_budget_remaining{${of}} -6.`,
    `subten_sla_burn_rate{${of},window="1h"} 7.`,
    `subten_sla_burn_rate{${of},window="3d"} 7.`,
    `subten_sla_alert_firing{${of},severity="page",policy="workbook"} 1`,
    'subten_sla_events_total{objective="slow",service="reading",model="echo"} 0',
  ]) {
    expect(text).toContain(line)
  }
})

it('GET /v1/sla/report tells what was promised and delivered, and in which stage the time went', async () => {
  const objectives = [
    about('fast', { kind: 'latency', model: 'echo', point: 'engine', thresholdUs: 1000 }),
    about('gone', { kind: 'availability', model: 'other', point: 'engine' }),
  ]
  const sla = await SlaMonitor.open(contract(...objectives), { ticking: false })
  const model = await loaded('models/echo', { parameters: { busy_us: 5000 } })
  sla.attach(model)
  const server = await createServer({ models: ModelHost.of(model), sla })
  running.push(server)
  const url = await server.listen({ port: 0 })
  for (let i = 0; i < 20; i++) await model.infer(row(i))
  sla.tick()
  const report = (await get(`${url}/v1/sla/report`)).json as SlaReport
  expect(report).toMatchObject({
    schema: 'subten.sla/1',
    contract: 'digits.yaml',
    objectives: [
      { delivered: '0 % (0 of 20), the error budget is overspent by 900 %' },
      { delivered: "not measured: model 'other' is not loaded" },
    ],
    models: [{ model: 'echo', version: '1', engine: 'null', stagesUs: { compute: { count: 20 } } }],
  })
  expect(report.models[0]?.blame).toMatch(/running in the engine \(compute\)/)
  const history = report.objectives[0]?.history ?? []
  expect(history.length).toBeLessThanOrEqual(120)
  expect(history.reduce((sum, { total }) => sum + total, 0)).toBe(20)
})
