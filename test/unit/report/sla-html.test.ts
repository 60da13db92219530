import { describe, expect, it } from 'vitest'
import { slaHtml } from '../../../src/report/sla-html.js'
import { explanation, slaReport, withHostileStrings } from './sample-reports.js'

const text = (page: string): string => page.replace(/<script[\s\S]*/, '')

describe('the report of service levels', () => {
  it('says what was promised, what was delivered and what is left', () => {
    const page = slaHtml(slaReport())
    expect(page).toContain('<title>BROKEN: contracts/digits.yaml, service levels</title>')
    expect(page).toContain('1 of 3 objectives broken')
    expect(page).toContain('99 % of requests within 10 ms, measured at engine, over 28 days')
    expect(page).toMatch(/overspent: 11\d(\.\d+)? % used/)
    expect(page).toContain('2 alerts firing, 1 of them to a pager')
  })

  it('shows slow requests in words, with their batch and their causes', () => {
    const page = slaHtml(slaReport())
    expect(page).toContain('46.0 ms: 24.4 garbage collection, 12.9 behind batch 811 (waited for deadline), 8.7 compute')
    expect(page).toContain('order-81002')
    expect(page).toContain('garbage collection (mark-sweep) 24.4 ms')
  })

  it('escapes every string', () => {
    const page = slaHtml(withHostileStrings(slaReport()))
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page.match(/<\/script/g)).toHaveLength(2)
    expect(/<img|\u202e/.test(page)).toBe(false)
  })

  it('says that there is nothing to judge where there is no objective', () => {
    const page = text(slaHtml(slaReport({ objectives: [], models: [] })))
    expect(page).toContain('The contract has no objective')
    expect(page).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('does not call an objective met that has too few events, or that is not measured', () => {
    const [, , few] = slaReport().objectives
    if (!few) throw new Error('the sample has no such objective')
    const page = text(
      slaHtml(slaReport({ objectives: [{ ...few, notMeasured: 'nobody reported a label' }], models: [] })),
    )
    expect(page).toContain('Too few events to judge any objective')
    expect(page).toContain('Not measured: nobody reported a label')
    expect(page).not.toMatch(/NaN|Infinity|undefined| met</)
  })

  it('shows the 300 slowest of many and says how many are left out', () => {
    const [model] = slaReport().models
    if (!model) throw new Error('the sample has no model')
    const slow = Array.from({ length: 5000 }, (_, i) => explanation(i))
    const page = slaHtml(slaReport({ models: [{ ...model, slow }] }))
    expect(page.match(/class="slow"/g)).toHaveLength(300)
    expect(page).toContain('and 4,700 requests that were faster')
  })

  it('shows a cause and an outcome that it does not know', () => {
    const [model] = slaReport().models
    if (!model) throw new Error('the sample has no model')
    const causes = [{ kind: 'meteorite', ms: 3, requests: 1 }]
    expect(slaHtml(slaReport({ models: [{ ...model, causes }] }))).toContain('meteorite')
  })
})
