import { describe, expect, it } from 'vitest'
import { parseContract } from '../../../src/sla/contract.js'
import type { ContractProblem } from '../../../src/sla/contract-problems.js'
import { thrown } from '../repository/thrown.js'

const lines = (n: number, line: (i: number) => string) => Array.from({ length: n }, (_, i) => line(i)).join('\n')

/** What a parser that takes YAML at its word would choke on, and what is said of it. */
const HOSTILE: Record<string, [text: string, said: RegExp]> = {
  'a billion laughs': [
    `a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n${lines(30, (i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(',')}]`)}`,
    /more than 20000 values/,
  ],
  'lists without end': ['['.repeat(200_000), /nests too deeply/],
  'maps without end': ['{'.repeat(200_000), /nests too deeply/],
  'lists on one line': ['- '.repeat(100_000), /nests too deeply/],
  'keys on one line': ['? '.repeat(100_000), /nests too deeply/],
  'values on one line': ['a: '.repeat(50_000), /nests too deeply/],
  'a staircase': [lines(400, (i) => `${' '.repeat(i)}a:`), /nests too deeply/],
  'lists over many lines': ['a: [\n'.repeat(10_000), /nests too deeply/],
  'a depth that the parser bears and a contract has not': [lines(60, (i) => `${' '.repeat(i)}a:`), /deeper than 32/],
  'an anchor that holds itself': ['a: &a { b: { c: *a } }', /stands inside what it stands for/],
  'a key of 100,000 letters': [`? ${'k'.repeat(100_000)}\n: 1`, /more than 320 characters/],
  'a key that is a map': ['{ a: 1 }: 2', /a key is not text/],
  'keys of objects': ['__proto__: { kind: SLO }\nconstructor: 1', /apiVersion is missing/],
  'a tag of another type': ['a: !!set { x }', /the tag .*set is not read/],
  'binary data': ['a: !!binary aGVsbG8=', /the tag .*binary is not read/],
  'thousands of documents': ['---\n'.repeat(30_000), /more than 20000 values/],
  'thousands of mistakes': ['a: 1\n'.repeat(20_000), /more than 500 mistakes/],
  'control characters': ['\0\u0001\u0002', /must be an object/],
}

it.each(Object.entries(HOSTILE))('%s is refused with a line, and quickly', (_name, [text, said]) => {
  const error = thrown(() => parseContract(text, 'hostile.yaml'))
  expect(error.code).toBe('CONFIG_INVALID')
  expect(error.message).toMatch(said)
  expect(error.message.length).toBeLessThan(20_000)
  const problems = error.details.problems as ContractProblem[]
  expect(problems.length).toBeLessThanOrEqual(500)
  for (const { line } of problems) expect(line).toBeGreaterThan(0)
})

describe('what looks deep and is not', () => {
  const valid = (extra: string) => `apiVersion: openslo/v1
kind: SLO
metadata: { name: a }
spec:
${extra}
  service: s
  indicator:
    metadata: { name: i }
    spec:
      ratioMetric:
        good: { metricSource: { type: subten, spec: { indicator: availability, model: m, point: engine } } }
        total: { metricSource: { type: subten, spec: { model: m } } }
  objectives: [{ target: 0.9 }]
`
  it.each([
    ['a comment far to the right', `${' '.repeat(300)}# over here`],
    ['a comment behind a value', `  description: short${' '.repeat(300)}# over here`],
    ['a blank line of many spaces', ' '.repeat(300)],
    ['brackets in text', `  description: "${'['.repeat(200)}"`],
    ['brackets in a block of text', `  description: |\n    ${'[{'.repeat(100)}`],
    ['brackets in a comment', `  # ${'['.repeat(200)}`],
    ['dashes in a block of text', `  description: |\n    ${'- '.repeat(100)}`],
  ])('%s is read', (_name, extra) => {
    expect(parseContract(valid(extra), 'a.yaml').objectives).toHaveLength(1)
  })
})
