import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { subten } from './running-cli.js'

const EXAMPLE = 'deploy/sla.yaml'
const bad = (name: string) => `test/unit/sla/contracts/bad/${name}.yaml`

it('sla validate says what a contract holds', async () => {
  expect(await subten(['sla', 'validate', EXAMPLE])).toEqual({
    code: 0,
    out: 'deploy/sla.yaml: 6 objectives of 1 service about 1 model',
    err: '',
  })
  const { out } = await subten(['sla', 'validate', EXAMPLE, '--json'])
  expect(JSON.parse(out)).toMatchObject({ file: EXAMPLE, objectives: { length: 6 } })
})

it('sla validate fails with the line, the field and what to do', async () => {
  expect(await subten(['sla', 'validate', bad('target-1')])).toEqual({
    code: 1,
    out: '',
    err: [
      'CONFIG_INVALID: test/unit/sla/contracts/bad/target-1.yaml:23: spec.objectives[0].target: 1 must be < 1: 1 leaves no error budget, so that every burn rate is infinite',
      'Expected: share of good events, from 0 to below 1: 0.99 is 99 %.',
    ].join('\n'),
  })
  const several = await subten(['sla', 'validate', bad('several')])
  expect(several.code).toBe(1)
  expect(several.err.split('\n')).toHaveLength(5)
  expect(await subten(['sla', 'validate', bad('composite')])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^NOT_SUPPORTED: .*objectives/),
  })
  expect(await subten(['sla', 'validate', 'absent.yaml'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/absent\.yaml: cannot be read \(ENOENT\)/),
  })
  expect(await subten(['sla', 'validate'])).toMatchObject({ code: 2 })
})

it('sla show says the promises in words', async () => {
  const { code, out } = await subten(['sla', 'show', EXAMPLE])
  expect(code).toBe(0)
  expect(out.split('\n\n')).toHaveLength(6)
  expect(out).toContain('digits-p99: 99 % of requests within 10 ms, measured at engine, over 28 days')
})

it('sla rules prints groups of rules, and nothing when the contract is wrong', async () => {
  const { code, out } = await subten(['sla', 'rules', EXAMPLE])
  expect(code).toBe(0)
  expect(parse(out)).toMatchObject({ groups: { length: 11 } })
  expect(await subten(['sla', 'rules', bad('target-1')])).toMatchObject({ code: 1, out: '' })
})

it('sla schema prints the schema of the package, by which the example is valid, document by document', async () => {
  const { code, out } = await subten(['sla', 'schema'])
  expect(code).toBe(0)
  const schema = JSON.parse(out)
  expect(schema).toEqual(JSON.parse(readFileSync('schemas/sla.schema.json', 'utf8')))
  expect(JSON.parse(readFileSync('package.json', 'utf8')).files).toContain('schemas')
  const ajv = new Ajv({ allowUnionTypes: true })
  expect(ajv.validateSchema(schema)).toBe(true)
  const validate = ajv.compile(schema)
  const documents = parseAllDocuments(readFileSync(EXAMPLE, 'utf8')).map((document) => document.toJS())
  expect(documents).toHaveLength(13)
  for (const document of [...documents, documents])
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true)
})
