import { describe, expect, it } from 'vitest'
import { between, parseMetrics } from '../../../src/profile/server-metrics.js'

const text = (requests: number, seconds: number, cpu: number): string => `
# HELP process_cpu_seconds_total Total
process_cpu_seconds_total ${cpu}
subten_stage_seconds{model="m \\"x\\"",version="1",stage="total",quantile="0.99"} 0.004
subten_stage_seconds_sum{model="m \\"x\\"",version="1",stage="total"} ${seconds}
subten_stage_seconds_count{model="m \\"x\\"",version="1",stage="total"} ${requests}
subten_batches_total{model="m \\"x\\"",version="1",reason="idle"} ${requests / 2}
nv_inference_count{model="m \\"x\\"",version="1"} ${requests}
other{le="+Inf"} NaN
`

describe('metrics of a server', () => {
  it('give the means, counts and processor time of the time between two readings', () => {
    const metered = between(parseMetrics(text(100, 1, 2)), parseMetrics(text(300, 1.4, 2.5)), 'm "x"')
    expect(metered.cpuUs).toBeCloseTo(500_000, 3)
    expect(metered.stagesUs?.total).toMatchObject({ count: 200, p99: 4000 })
    expect(metered.stagesUs?.total.mean).toBeCloseTo(2000, 6)
    expect(metered.batches).toMatchObject({ count: 100, meanSize: 2, byReason: { idle: 100, full: 0 } })
  })

  it('of which a model has none leave stages and batches out', () => {
    const metered = between(parseMetrics(text(1, 1, 1)), parseMetrics(text(2, 1, 1)), 'another')
    expect(metered).toEqual({ cpuUs: 0 })
    expect(between(parseMetrics(''), parseMetrics(''), 'm')).toEqual({ cpuUs: undefined })
  })
})
