import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { run } from '../../../src/cli/program.js'
import type { LoadOptions } from '../../../src/runtime/types.js'
import { subten, vectorModel } from './running-cli.js'

const folders: string[] = []
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })))
})

const slo = (model: string, target: number): string => `apiVersion: openslo/v1
kind: SLO
metadata: { name: ${model}-${String(target).replace('.', '-')} }
spec:
  service: reading
  description: ${model}
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  indicator:
    metadata: { name: ${model}-latency-${String(target).replace('.', '-')} }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: subten, spec: { indicator: latency, model: ${model}, point: engine, threshold: 25ms } } }
        total: { metricSource: { type: subten, spec: { model: ${model} } } }
  objectives: [{ target: ${target} }]
`

it('--slo contract needs a contract', async () => {
  const ran = await subten(['serve', '--slo', 'contract'])
  expect(ran.code).toBe(2)
  expect(ran.err).toContain('--slo contract needs --sla')
  expect((await subten(['serve', '--slo', '10ms'])).code).toBe(2)
})

it('--slo contract gives each model what the contract promises of it, unless its config.pbtxt promises something', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'subten-serve-'))
  folders.push(folder)
  const own = 'parameters { key: "subten.slo" value { string_value: "{\\"p99Ms\\": 5}" } }'
  for (const [name, more] of [
    ['promised', ''],
    ['own', own],
    ['other', ''],
    ['loose', ''],
  ] as const) {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'config.pbtxt'), `backend: "subten_null"\n${more}`)
  }
  const service = 'apiVersion: openslo/v1\nkind: Service\nmetadata: { name: reading }\nspec: { description: x }\n'
  const contract = [service, slo('promised', 0.99), slo('own', 0.99), slo('loose', 0.9)].join('---\n')
  await writeFile(join(folder, 'contract.yaml'), contract)

  const options: Record<string, LoadOptions | undefined> = {}
  const err: string[] = []
  const code = run(
    ['serve', '--http-port', '0', '--models', folder, '--sla', join(folder, 'contract.yaml'), '--slo', 'contract'],
    {
      out: () => process.emit('SIGTERM'),
      err: (text) => err.push(text),
      readStdin: async () => Buffer.alloc(0),
      load: async (path, given) => {
        options[path.slice(folder.length + 1)] = given
        return vectorModel()
      },
      systemInfo: () => Promise.reject(new Error('no addon')),
    },
  )
  expect({ code: await code, err: err.join('\n') }).toMatchObject({ code: 0 })
  expect(options).toEqual({
    promised: { version: 1, slo: { p99Ms: 25 } },
    own: { version: 1 },
    other: { version: 1 },
    loose: { version: 1 },
  })
})
