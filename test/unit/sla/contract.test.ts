import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parseContract, readContract } from '../../../src/sla/contract.js'
import { contractInWords } from '../../../src/sla/contract-words.js'
import { promiseOf } from '../../../src/sla/promise.js'
import { prometheusRules } from '../../../src/sla/rules.js'
import type { Objective } from '../../../src/sla/types.js'
import { rejection, thrown } from '../repository/thrown.js'
import { contractFile } from './contract-file.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR

it('reads slices of time, and how long an alert waits', async () => {
  const { objectives } = await readContract(contractFile('good/slices.yaml'))
  const [minutes, mean] = objectives
  expect(minutes?.slices).toEqual({ ms: 60_000, target: 0.95 })
  expect(minutes?.alerts[0]?.conditions[0]?.afterMs).toBe(300_000)
  expect(mean?.slices).toEqual({ ms: 30_000 })
  expect(promiseOf(minutes as Objective)).toBe(
    '99 % of slices of 1 minute with 95 % of requests within 10 ms, measured at engine, over 28 days',
  )
  expect(promiseOf(mean as Objective)).toContain('on average over slices of 30 seconds 99 % of requests within 10 ms')
  expect(prometheusRules({ file: 'sla.yaml', services: [], objectives, maintenance: [] })).toContain('for: 5m')
})

it('a contract by references gives objectives with everything that they refer to', async () => {
  const contract = await readContract(contractFile('good/every-kind.yaml'))
  expect(contract.services).toEqual([{ name: 'digits-api', description: 'Reads digits.', owner: 'team-vision' }])
  expect(contract.maintenance).toEqual([
    {
      from: Date.UTC(2026, 11, 1, 2),
      to: Date.UTC(2026, 11, 1, 4),
      reason: 'move of the database',
      service: 'digits-api',
    },
    { from: Date.UTC(2026, 11, 23, 23), to: Date.UTC(2026, 11, 24, 23), reason: '', service: 'digits-api' },
  ])
  const alerts = [
    {
      name: 'fast-burn',
      conditions: [{ severity: 'page', burnRate: 10, longMs: 2 * HOUR, shortMs: HOUR / 6 }],
      targets: [{ name: 'hook', url: 'https://example.com/hook', secretEnv: 'HOOK_SECRET' }, { name: 'oncall' }],
      whenResolved: false,
    },
  ]
  const p99 = {
    name: 'digits-p99/p99',
    description: 'Answers come in time.',
    service: 'digits-api',
    owner: 'night-shift',
    indicator: { kind: 'latency', model: 'digits', point: 'edge', thresholdUs: 10_000 },
    target: 0.99,
    window: { kind: 'rolling', ms: 30 * DAY },
    minimumEvents: 250,
    alerts,
    consequences: 'The night shift writes it up.',
    enforce: true,
    source: { file: contractFile('good/every-kind.yaml'), line: 5 },
  }
  expect(contract.objectives).toEqual([p99, { ...p99, name: 'digits-p99/p95', target: 0.95 }])
})

it('a list in one document, each indicator, inline objects and aliases are read', async () => {
  const { objectives } = await readContract(contractFile('good/list.yaml'))
  const by = Object.fromEntries(objectives.map((objective) => [objective.name, objective]))
  expect(by.within?.indicator).toEqual({ kind: 'latency', model: 'digits', point: 'client', thresholdUs: 2_500 })
  expect(by.available).toMatchObject({
    indicator: { kind: 'availability', model: 'digits', point: 'edge' },
    target: 0.9995,
    window: {
      kind: 'calendar',
      unit: 'month',
      count: 1,
      startTime: '2026-01-01 00:00:00',
      timeZone: 'Europe/Berlin',
    },
    minimumEvents: 2000,
    alerts: [
      {
        name: 'inline',
        conditions: [{ severity: 'ticket', burnRate: 1, longMs: 3 * DAY, shortMs: 6 * HOUR }],
        targets: [{ name: 'chat' }],
      },
    ],
  })
  expect(by.goodput?.indicator).toEqual({
    kind: 'goodput',
    model: 'digits',
    point: 'engine',
    thresholdUs: 300,
    perSecond: 1000,
  })
  expect(by.right).toMatchObject({ indicator: { kind: 'accuracy', model: 'digits' }, minimumEvents: 20, alerts: [] })
  expect(by.fresh?.indicator).toEqual({ kind: 'freshness', model: 'fraud', thresholdUs: 1_000_000 })
  expect(objectives.map(promiseOf)).toEqual([
    '90 % of requests within 2.5 ms, measured at client, over 28 days',
    '99.95 % of requests answered without error, measured at edge, in each month (Europe/Berlin)',
    '99 % of seconds with 1000 or more answers within 300 µs, or all that were asked for, measured at engine, over 1 minute',
    '50 % of labelled answers right, over 28 days',
    '99.9 % of events scored within 1 s of their time, over 28 days',
  ])
})

const slo = (more: string, target = 0.999) => `
apiVersion: openslo/v1
kind: SLO
metadata: { name: available }
spec:
  service: anything
  indicator:
    metadata: { name: available }
    spec:
      ratioMetric:
        good: { metricSource: { type: subten, spec: { indicator: availability, model: m, point: engine } } }
        total: { metricSource: { type: subten, spec: { model: m } } }
  objectives: [{ target: ${target} }]
${more}`

it('without alert policies those of the SRE workbook count, each under a name of its own', () => {
  const { objectives, services } = parseContract(slo(''), 'a.yaml')
  expect(services).toEqual([{ name: 'anything', description: '', owner: '' }])
  expect(objectives[0]?.window).toEqual({ kind: 'rolling', ms: 28 * DAY })
  expect(objectives[0]?.alerts).toEqual([
    {
      name: 'page-1h',
      conditions: [{ severity: 'page', burnRate: 14.4, longMs: HOUR, shortMs: 5 * 60_000 }],
      targets: [],
    },
    {
      name: 'page-6h',
      conditions: [{ severity: 'page', burnRate: 6, longMs: 6 * HOUR, shortMs: 30 * 60_000 }],
      targets: [],
    },
    {
      name: 'ticket-3d',
      conditions: [{ severity: 'ticket', burnRate: 1, longMs: 3 * DAY, shortMs: 6 * HOUR }],
      targets: [],
    },
  ])
})

it('default policies tell every notification target of the contract', () => {
  const target = `---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: { name: oncall }
spec: { target: email }`
  const { objectives } = parseContract(slo(target), 'a.yaml')
  expect(objectives[0]?.alerts.map(({ targets }) => targets)).toEqual(Array(3).fill([{ name: 'oncall' }]))
})

it('default policies that could never fire, or look back further than the window, are left out', () => {
  const names = (text: string) => parseContract(text, 'a.yaml').objectives[0]?.alerts.map(({ name }) => name)
  // All bad is a burn rate of 10 at a target of 0.9, and of 2 at 0.5.
  expect(names(slo('', 0.9))).toEqual(['page-6h', 'ticket-3d'])
  expect(names(slo('', 0.5))).toEqual(['ticket-3d'])
  expect(names(slo('  timeWindow: [{ duration: 1d, isRolling: true }]'))).toEqual(['page-1h', 'page-6h'])
  expect(names(slo('  timeWindow: [{ duration: 1m, isRolling: true }]'))).toEqual([])
  expect(names(slo('  alertPolicies: []'))).toEqual([])
})

it('the minimum of events is what makes one bad event no more than the whole budget', () => {
  const minimum = (target: number) => parseContract(slo('', target), 'a.yaml').objectives[0]?.minimumEvents
  expect([0, 0.5, 0.95, 0.96, 0.99, 0.999, 0.9999].map(minimum)).toEqual([20, 20, 20, 25, 100, 1000, 10_000])
})

it('a contract in words says every promise, its budget, its alerts and its consequences', async () => {
  const words = contractInWords(await readContract(contractFile('good/every-kind.yaml')))
  expect(words).toContain(`digits-p99/p99: 99 % of requests within 10 ms, measured at edge, over 30 days
  service digits-api, owner night-shift
  error budget 1 %; nothing is said of fewer than 250 events
  requests get the threshold as their deadline
  page when 2h and 10m burn faster than 10, tells hook, oncall
  when it is broken: The night shift writes it up.`)
  expect(words).toContain(
    'not counted for digits-api: 2026-12-01T02:00:00.000Z to 2026-12-01T04:00:00.000Z, move of the database',
  )
})

it('the contract that the package shows is valid', async () => {
  const { objectives } = await readContract('deploy/sla.yaml')
  expect(objectives.map(({ name, target }) => [name, target])).toEqual([
    ['digits-p50', 0.5],
    ['digits-p95', 0.95],
    ['digits-p99', 0.99],
    ['digits-p999', 0.999],
    ['digits-availability', 0.999],
    ['digits-goodput', 0.99],
  ])
})

it('a file that cannot be read says why', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'subten-contract-'))
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  expect(await rejection(readContract(join(folder, 'absent.yaml')))).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/absent\.yaml: cannot be read \(ENOENT\)/),
    details: { file: join(folder, 'absent.yaml') },
  })
  expect(await rejection(readContract(folder))).toMatchObject({ message: expect.stringMatching(/is not a file$/) })
  expect(await rejection(readContract('/dev/zero'))).toMatchObject({ message: expect.stringMatching(/is not a file$/) })
  expect(await rejection(readContract(file('big.yaml', '#'.repeat(300_000))))).toMatchObject({
    message: expect.stringMatching(/more than 256 KiB/),
  })
  expect(await rejection(readContract(file('latin1.yaml', Buffer.from([0x61, 0xe9]))))).toMatchObject({
    message: expect.stringMatching(/is not UTF-8/),
  })
  expect(await rejection(readContract(file('empty.yaml', '')))).toMatchObject({
    message: expect.stringMatching(/empty\.yaml:1: there is no SLO/),
  })
})

it('more mistakes than people read are counted, and the first twenty told', () => {
  const bad = Array.from({ length: 30 }, (_, i) => `---\napiVersion: openslo/v1\nkind: Servic${i}\n`).join('')
  const error = thrown(() => parseContract(bad, 'many.yaml'))
  expect(error.details.problems).toHaveLength(30)
  expect(error.message.split('\n')).toHaveLength(22)
  expect(error.message).toMatch(/^30 mistakes in many\.yaml\n {2}many\.yaml:3: kind: /)
  expect(error.message).toMatch(/and 10 more$/)
})
