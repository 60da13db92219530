import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseContract } from '../../../src/sla/contract.js'
import type { ContractProblem } from '../../../src/sla/contract-problems.js'
import { thrown } from '../repository/thrown.js'

const folder = new URL('contracts/bad/', import.meta.url)

/**
 * Each file says at the end of a line what is wrong there: `# ERROR CODE field`, `-` for no field. A file whose lines
 * say NOT_SUPPORTED alone is refused with that code.
 */
describe.each(readdirSync(folder))('%s', (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const expected = text.split('\n').flatMap((line, index) => {
    const found = /# ERROR ([A-Z_]+) (\S+)$/.exec(line)
    return found ? [{ line: index + 1, code: found[1], field: found[2] === '-' ? '' : found[2] }] : []
  })
  const error = thrown(() => parseContract(text, name))
  const problems = error.details.problems as ContractProblem[]

  it('is refused at the line and the field that are wrong, and nowhere else', () => {
    expect(expected.length).toBeGreaterThan(0)
    expect(problems.map(({ line, field }) => ({ line, field }))).toEqual(
      expected.map(({ line, field }) => ({ line, field })),
    )
    expect(error.code).toBe(expected.every(({ code }) => code === 'NOT_SUPPORTED') ? 'NOT_SUPPORTED' : 'CONFIG_INVALID')
    expect(error.details).toMatchObject({ file: name, line: expected[0]?.line, field: expected[0]?.field })
  })

  it('is told in sentences, each with what to do', () => {
    for (const { line, message, fix } of problems) {
      expect(error.message).toContain(`${name}:${line}: `)
      expect(message).not.toMatch(/undefined|\[object|must match|\.$/)
      expect(fix).toMatch(/^[A-Z].*[^ ]$/)
      expect(fix).not.toMatch(/undefined|\[object/)
    }
  })
})
