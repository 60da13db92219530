import { afterEach } from 'vitest'
import type { Model } from '../../../src/runtime/types.js'
import type { ServerLimits } from '../../../src/server/limits.js'
import { ModelHost } from '../../../src/server/model-host.js'
import { createServer, type Server } from '../../../src/server/server.js'
import { type FakeBehaviour, type FakeSpec, fakeModel } from '../../../src/testing.js'

const running: Server[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()))
})

/** A server on a free port, stopped after the test. */
export async function serving(
  models: readonly Model[] | ModelHost,
  limits: Partial<ServerLimits> = {},
): Promise<{ url: string; server: Server }> {
  const host = models instanceof ModelHost ? models : ModelHost.of(...models)
  const server = await createServer({ models: host, limits: { stopTimeoutMs: 2000, ...limits } })
  running.push(server)
  return { url: await server.listen({ port: 0 }), server }
}

/** Every input comes back as the output `<name>_out`. */
export function echoModel(
  inputs: FakeSpec['inputs'],
  behaviour: FakeBehaviour = {},
  spec: Partial<FakeSpec> = {},
): Model {
  return fakeModel(
    { name: 'echo', inputs, outputs: inputs.map((i) => ({ ...i, name: `${i.name}_out` })), ...spec },
    {
      outputs: (given) => {
        const out = Object.create(null)
        for (const { name } of inputs) out[`${name}_out`] = given[name]
        return out
      },
      ...behaviour,
    },
  )
}

export const vector: FakeSpec['inputs'] = [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }]

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of any shape
  json: any
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(url, { method: 'POST', body: raw ? (body as string) : JSON.stringify(body), headers })
  return { status: response.status, headers: response.headers, json: await response.json() }
}

export async function get(url: string): Promise<Answer> {
  const response = await fetch(url)
  return { status: response.status, headers: response.headers, json: await response.json() }
}
