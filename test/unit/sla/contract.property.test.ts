import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { SubtenError } from '../../../src/runtime/errors.js'
import { parseContract } from '../../../src/sla/contract.js'
import type { ContractProblem } from '../../../src/sla/contract-problems.js'
import { prometheusRules } from '../../../src/sla/rules.js'
import { contractText } from './contract-file.js'

const VALID = [contractText('good/every-kind.yaml'), contractText('good/list.yaml'), contractText('good/slices.yaml')]

/** Whatever the text: a contract that keeps what its types say, or an error with a place and what to do about it. */
function holds(text: string): void {
  let contract: ReturnType<typeof parseContract>
  try {
    contract = parseContract(text, 'mutated.yaml')
  } catch (error) {
    if (!(error instanceof SubtenError)) throw error
    expect(['CONFIG_INVALID', 'NOT_SUPPORTED']).toContain(error.code)
    const problems = error.details.problems as ContractProblem[]
    expect(problems.length).toBeGreaterThan(0)
    const lines = text.split(/\r\n|\r|\n/).length
    for (const { line, column, message, fix, field } of problems) {
      expect(Number.isInteger(line) && line >= 1 && line <= lines, `line ${line} of ${lines}`).toBe(true)
      expect(column).toBeGreaterThanOrEqual(1)
      expect(`${message} ${fix} ${field}`).not.toMatch(/undefined|\[object|NaN/)
      expect(message).not.toBe('')
      expect(fix).not.toBe('')
    }
    expect(error.details.line).toBe(problems[0]?.line)
    return
  }
  expect(contract.objectives.length).toBeGreaterThan(0)
  expect(new Set(contract.objectives.map(({ name }) => name)).size).toBe(contract.objectives.length)
  for (const { target, indicator, minimumEvents, alerts, window } of contract.objectives) {
    expect(target >= 0 && target < 1).toBe(true)
    expect(minimumEvents).toBeGreaterThanOrEqual(0)
    if ('thresholdUs' in indicator) expect(indicator.thresholdUs).toBeGreaterThan(0)
    if (window.kind === 'rolling') expect(window.ms).toBeGreaterThanOrEqual(1000)
    for (const { burnRate, longMs, shortMs } of alerts.flatMap(({ conditions }) => conditions)) {
      expect(shortMs).toBeLessThan(longMs)
      expect(shortMs).toBeGreaterThan(0)
      expect(burnRate * (1 - target)).toBeLessThan(1)
    }
  }
  expect(parse(prometheusRules(contract))).toMatchObject({ groups: expect.any(Array) })
}

const text = fc.constantFrom(...VALID)

it('letters put in, taken out or changed anywhere never crash the reader', () => {
  const pieces = fc.oneof(
    fc.constantFrom(
      '\n',
      ' ',
      ':',
      '-',
      '"',
      "'",
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '!!x ',
      '#',
      '|',
      '>',
      '---\n',
      '0',
      '<<: ',
    ),
    fc.string({ maxLength: 4 }),
  )
  const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), remove: fc.nat(12), put: pieces })
  fc.assert(
    fc.property(text, fc.array(edit, { minLength: 1, maxLength: 3 }), (whole, edits) => {
      let mutated = whole
      for (const { at, remove, put } of edits) {
        const place = Math.floor(at * mutated.length)
        mutated = mutated.slice(0, place) + put + mutated.slice(place + remove)
      }
      holds(mutated)
    }),
    { numRuns: 200 },
  )
})

it('lines that are lost, doubled or moved never crash the reader', () => {
  const move = fc.record({ from: fc.nat(200), to: fc.nat(200), keep: fc.boolean(), drop: fc.boolean() })
  fc.assert(
    fc.property(text, fc.array(move, { minLength: 1, maxLength: 4 }), (whole, moves) => {
      const lines = whole.split('\n')
      for (const { from, to, keep, drop } of moves) {
        const [line = ''] = keep ? [lines[from % lines.length]] : lines.splice(from % lines.length, 1)
        if (!drop) lines.splice(to % lines.length, 0, line)
      }
      holds(lines.join('\n'))
    }),
    { numRuns: 150 },
  )
})

/** Every place of a tree of plain data. */
function places(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))]
}

function put(root: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [key, ...rest] = path
  if (key === undefined) return value
  const copy = (Array.isArray(root) ? [...root] : { ...(root as object) }) as Record<string | number, unknown>
  copy[key] = put(copy[key], rest, value)
  return copy
}

it('a value of any kind in the place of any other never crashes the reader', () => {
  const any = fc.oneof(
    fc.constantFrom(0, 1, -1, 1e308, '', '1', 'latency', 'page', '1h', '0ms', null, true, [], {}, 'fast', 'subten'),
    fc.jsonValue({ maxDepth: 2 }),
    fc.string(),
  )
  const trees = VALID.map((whole) => parseAllDocuments(whole).map((document) => document.toJS() as unknown))
  fc.assert(
    fc.property(fc.constantFrom(...trees), fc.nat(), any, (documents, pick, value) => {
      const all = places(documents)
      const path = all[pick % all.length] as (string | number)[]
      const mutated = put(documents, path, value)
      const list = Array.isArray(mutated) ? mutated : [mutated]
      holds(list.map((document) => `---\n${stringify(document, { aliasDuplicateObjects: false })}`).join(''))
    }),
    { numRuns: 300 },
  )
})
