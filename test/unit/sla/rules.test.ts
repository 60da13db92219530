import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readContract } from '../../../src/sla/contract.js'
import { prometheusRules } from '../../../src/sla/rules.js'
import type { Contract, Objective } from '../../../src/sla/types.js'
import { contractFile } from './contract-file.js'
import { checkRules, promtool, testRules } from './promtool.js'

const HOUR = 3_600_000

/** Three nines over 30 days: the example of the SRE workbook, chapter 5. */
const THREE_NINES: Objective = {
  name: 'three-nines',
  description: 'It works.',
  service: 'api',
  owner: 'team-vision',
  indicator: { kind: 'availability', model: 'digits', point: 'edge' },
  target: 0.999,
  window: { kind: 'rolling', ms: 30 * 24 * HOUR },
  minimumEvents: 1000,
  alerts: [
    {
      name: 'page-1h',
      conditions: [{ severity: 'page', burnRate: 14.4, longMs: HOUR, shortMs: HOUR / 12 }],
      targets: [{ name: 'oncall' }, { name: 'hook', url: 'https://example.com' }],
    },
    {
      name: 'page-6h',
      conditions: [{ severity: 'page', burnRate: 6, longMs: 6 * HOUR, shortMs: HOUR / 2 }],
      targets: [],
    },
    {
      name: 'ticket-3d',
      conditions: [{ severity: 'ticket', burnRate: 1, longMs: 72 * HOUR, shortMs: 6 * HOUR }],
      targets: [],
    },
  ],
  consequences: 'Releases stop.',
  enforce: false,
  source: { file: 'sla.yaml', line: 1 },
}

const contractOf = (...objectives: Objective[]): Contract => ({
  file: 'sla.yaml',
  services: [],
  objectives,
  maintenance: [],
})

interface Rules {
  groups: {
    name: string
    interval?: string
    rules: {
      record?: string
      alert?: string
      expr: string
      labels: Record<string, string>
      annotations?: Record<string, string>
    }[]
  }[]
}
const rulesOf = (...objectives: Objective[]) => parse(prometheusRules(contractOf(...objectives))) as Rules

const SERIES = '{objective="three-nines",service="api",model="digits"}'
const counters = (good: string, all: string, instance = '') => [
  { series: `subten_sla_good_events_total${SERIES.replace('}', `${instance}}`)}`, values: good },
  { series: `subten_sla_events_total${SERIES.replace('}', `${instance}}`)}`, values: all },
]
const LABELS = 'model="digits", objective="three-nines", service="api"'
const sample = (name: string, value: number) => ({ labels: `${name}{${LABELS}}`, value })

function expected(policy: string): object {
  const rule = rulesOf(THREE_NINES)
    .groups.flatMap(({ rules }) => rules)
    .find(({ labels }) => labels.policy === policy)
  return { exp_labels: rule?.labels, exp_annotations: rule?.annotations }
}

/** Only what concerns one policy, since promtool compares every alert of a name. */
const only = (policy: string): Objective => ({
  ...THREE_NINES,
  alerts: THREE_NINES.alerts.filter(({ name }) => name === policy),
})

it('alerts carry severity, owner, service and model, and say what was promised and what follows', () => {
  const [burn, budget] = rulesOf(only('page-1h')).groups
  expect(burn?.name).toBe('subten-sla-three-nines-burn')
  expect(burn?.rules.at(-1)).toEqual({
    alert: 'SubtenErrorBudgetBurn',
    expr: [
      'objective:subten_sla_burn_rate:ratio1h{objective="three-nines",service="api"} > 14.4',
      'and objective:subten_sla_burn_rate:ratio5m{objective="three-nines",service="api"} > 14.4',
      'and objective:subten_sla_events:increase1h{objective="three-nines",service="api"} >= 1000',
    ].join('\n'),
    labels: {
      severity: 'page',
      objective: 'three-nines',
      service: 'api',
      model: 'digits',
      owner: 'team-vision',
      policy: 'page-1h',
      window: '1h',
      notify: 'oncall,hook',
    },
    annotations: {
      summary: 'three-nines burns its error budget {{ $value | printf "%.1f" }} times as fast as it may',
      // 14.4 x 1 h of 720 h: 2 % of the budget.
      description:
        'Promised: 99.9 % of requests answered without error, measured at edge, over 30 days. The burn rate of 1 hour and that of 5 minutes are above 14.4. A burn rate of 14.4 for 1 hour is 2 % of the budget of 30 days.',
      consequences: 'Releases stop.',
    },
  })
  expect(budget).toMatchObject({ name: 'subten-sla-three-nines-budget', interval: '5m' })
  expect(budget?.rules.at(-1)).toMatchObject({ alert: 'SubtenPromiseBroken', labels: { severity: 'ticket' } })
})

it('words of a contract are text to Prometheus: no template, no label matcher, no YAML', () => {
  const nasty = 'a"b\\c {{ .Labels }} \n: # {{define "x"}}'
  const rules = rulesOf({ ...only('page-1h'), name: nasty, owner: nasty, consequences: nasty, description: nasty })
  const alert = rules.groups[0]?.rules.at(-1)
  expect(alert?.expr).toContain('{objective="a\\"b\\\\c {{ .Labels }} \\n: # {{define \\"x\\"}}",service="api"}')
  expect(alert?.labels.owner).toBe('a"b\\c {{ "{{" }} .Labels }} \n: # {{ "{{" }}define "x"}}')
})

it('a calendar window takes its budget from the gauge of the server', () => {
  const window = {
    kind: 'calendar',
    unit: 'month',
    count: 1,
    startTime: '2026-01-01 00:00:00',
    timeZone: 'UTC',
  } as const
  const rules = rulesOf({ ...only('page-1h'), window }).groups[1]?.rules
  expect(rules).toHaveLength(1)
  expect(rules?.[0]?.expr).toBe(
    'min by (objective, service, model) (subten_sla_error_budget_remaining{objective="three-nines",service="api"}) < 0',
  )
})

describe.skipIf(!promtool)('in promtool (skipped where it is absent: npm run promtool:install)', () => {
  it.each(['good/every-kind.yaml', 'good/list.yaml', 'good/slices.yaml'])('the rules of %s are valid', async (name) => {
    const { ok, output } = checkRules(prometheusRules(await readContract(contractFile(name))))
    expect(output).toMatch(/SUCCESS/)
    expect(ok).toBe(true)
  })

  it('the rules of the example contract are valid', async () => {
    expect(checkRules(prometheusRules(await readContract('deploy/sla.yaml')))).toMatchObject({ ok: true })
  })

  it('rules of hostile words are valid', () => {
    const nasty = 'a"b\\c {{ .Labels }} \n: # {{define "x"}}'
    const rules = prometheusRules(contractOf({ ...THREE_NINES, name: nasty, owner: nasty, consequences: nasty }))
    expect(checkRules(rules)).toMatchObject({ ok: true })
  })

  it('burn rates are the error ratio over the error budget, of all instances together', () => {
    // 1,000 requests a minute, 15 of them bad: 1.5 % of errors, a budget of 0.1 %, so a burn rate of 15. Two instances
    // of which one has no errors halve it.
    const one = counters('0+985x120', '0+1000x120')
    const two = [
      ...counters('0+985x120', '0+1000x120', ',instance="a"'),
      ...counters('0+1000x120', '0+1000x120', ',instance="b"'),
    ]
    const rules = prometheusRules(contractOf(only('page-1h')))
    const values = (burn: number, events: number) => [
      {
        expr: 'round(objective:subten_sla_burn_rate:ratio1h, 0.001)',
        eval_time: '90m',
        exp_samples: [sample('', burn)],
      },
      {
        expr: 'round(objective:subten_sla_burn_rate:ratio5m, 0.001)',
        eval_time: '90m',
        exp_samples: [sample('', burn)],
      },
      {
        expr: 'round(objective:subten_sla_events:increase1h, 1)',
        eval_time: '90m',
        exp_samples: [sample('', events)],
      },
      {
        // 1 - burn: the window of 30 days has seen nothing but these minutes.
        expr: 'round(objective:subten_sla_error_budget_remaining:ratio30d, 0.01)',
        eval_time: '90m',
        exp_samples: [sample('', 1 - burn)],
      },
    ]
    const verdict = testRules(rules, [
      { interval: '1m', input_series: one, promql_expr_test: values(15, 60_000) },
      { interval: '1m', input_series: two, promql_expr_test: values(7.5, 120_000) },
    ])
    expect(verdict.output).toMatch(/SUCCESS/)
  })

  it('pages at 15 times the budget, and not at 14; not before the long window has enough of it', () => {
    const policy = only('page-1h')
    const text = prometheusRules(contractOf(policy))
    const summary = (burn: string) => ({
      ...(expected('page-1h') as { exp_annotations: object }),
      exp_annotations: {
        ...(expected('page-1h') as { exp_annotations: object }).exp_annotations,
        summary: `three-nines burns its error budget ${burn} times as fast as it may`,
      },
    })
    const fires = (eval_time: string, ...exp_alerts: object[]) => ({
      eval_time,
      alertname: 'SubtenErrorBudgetBurn',
      exp_alerts,
    })
    const verdict = testRules(text, [
      {
        interval: '1m',
        input_series: counters('0+985x120', '0+1000x120'),
        alert_rule_test: [fires('70m', summary('15.0'))],
      },
      { interval: '1m', input_series: counters('0+986x120', '0+1000x120'), alert_rule_test: [fires('70m')] },
      {
        // An hour of health, then an outage of 100 %: 0.1 % of an hour's requests are gone in 3.6 s, and 14.4 times
        // that in 52 s: one minute is enough, the next evaluation pages. It resets when the short window is clean.
        interval: '1m',
        input_series: counters('0+1000x60 60000+0x2 60000+1000x60', '0+1000x123'),
        alert_rule_test: [fires('60m'), fires('62m', summary('33.3')), fires('75m')],
      },
    ])
    expect(verdict.output).toMatch(/SUCCESS/)
  })

  it('the slow conditions fire at 6 over six hours and at 1 over three days', () => {
    const fires = (policy: string, burn: string, eval_time: string) => ({
      eval_time,
      alertname: 'SubtenErrorBudgetBurn',
      exp_alerts: [
        {
          exp_labels: (expected(policy) as { exp_labels: object }).exp_labels,
          exp_annotations: {
            ...(expected(policy) as { exp_annotations: object }).exp_annotations,
            summary: `three-nines burns its error budget ${burn} times as fast as it may`,
          },
        },
      ],
    })
    const quiet = (eval_time: string) => ({ eval_time, alertname: 'SubtenErrorBudgetBurn', exp_alerts: [] })
    // A sample each ten minutes.
    const run = (policy: string, bad: number, samples: number, test: object) =>
      testRules(
        prometheusRules(contractOf(only(policy))),
        [
          {
            interval: '10m',
            input_series: counters(`0+${10_000 - bad}x${samples}`, `0+10000x${samples}`),
            alert_rule_test: [test],
          },
        ],
        '10m',
      ).output
    expect(run('page-6h', 70, 40, fires('page-6h', '7.0', '400m'))).toMatch(/SUCCESS/)
    expect(run('page-6h', 50, 40, quiet('400m'))).toMatch(/SUCCESS/)
    expect(run('ticket-3d', 15, 440, fires('ticket-3d', '1.5', '4400m'))).toMatch(/SUCCESS/)
    expect(run('ticket-3d', 5, 440, quiet('4400m'))).toMatch(/SUCCESS/)
  })

  it('too few events fire nothing, even when all are bad, and no events are no error', () => {
    const quiet = { eval_time: '90m', alertname: 'SubtenErrorBudgetBurn', exp_alerts: [] }
    const rules = prometheusRules(contractOf(only('page-1h')))
    const verdict = testRules(rules, [
      // 10 a minute are 600 an hour, below 1,000.
      { interval: '1m', input_series: counters('0+0x120', '0+10x120'), alert_rule_test: [quiet] },
      { interval: '1m', input_series: counters('0+0x120', '0+0x120'), alert_rule_test: [quiet] },
    ])
    expect(verdict.output).toMatch(/SUCCESS/)
  })

  it('a server that never gave a good answer pages, though its counter of good events is missing', () => {
    const rules = prometheusRules(contractOf(only('page-1h')))
    const page = expected('page-1h') as { exp_labels: object; exp_annotations: object }
    const verdict = testRules(rules, [
      {
        interval: '1m',
        input_series: counters('', '0+100x120').slice(1),
        alert_rule_test: [
          {
            eval_time: '90m',
            alertname: 'SubtenErrorBudgetBurn',
            exp_alerts: [
              {
                ...page,
                exp_annotations: {
                  ...page.exp_annotations,
                  summary: 'three-nines burns its error budget 1000.0 times as fast as it may',
                },
              },
            ],
          },
        ],
      },
    ])
    expect(verdict.output).toMatch(/SUCCESS/)
  })

  it('a promise whose budget is used up is broken, in words of the contract', () => {
    const rules = prometheusRules(contractOf({ ...only('page-1h'), window: { kind: 'rolling', ms: 2 * HOUR } }))
    const broken = (bad: number, exp_alerts: object[]) => ({
      interval: '1m',
      input_series: counters(`0+${10_000 - bad}x180`, '0+10000x180'),
      alert_rule_test: [{ eval_time: '150m', alertname: 'SubtenPromiseBroken', exp_alerts }],
    })
    const alert = {
      exp_labels: {
        severity: 'ticket',
        objective: 'three-nines',
        service: 'api',
        model: 'digits',
        owner: 'team-vision',
      },
      exp_annotations: {
        summary: 'three-nines is broken: its error budget is used up',
        description: 'Promised: 99.9 % of requests answered without error, measured at edge, over 2 hours. It works.',
        consequences: 'Releases stop.',
      },
    }
    expect(testRules(rules, [broken(11, [alert]), broken(9, [])]).output).toMatch(/SUCCESS/)
  })
})
