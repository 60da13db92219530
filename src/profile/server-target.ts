import type { Datatype } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { TensorSpec } from '../runtime/types.js'
import type { HttpRequests } from './http-caller.js'
import { binaryBody, jsonBody } from './kserve-body.js'
import { derivedSeed, seededRandom } from './random.js'
import { seededInputs } from './seeded-inputs.js'
import { serverMeter } from './server-metrics.js'
import type { InputOptions, Prepared, ServerTarget } from './target.js'

/** Asks a server what the model takes, makes the bodies of requests, and sends one. */
export async function prepareServer(target: ServerTarget, options: InputOptions, count: number): Promise<Prepared> {
  if (target.protocol === 'kserve-grpc') {
    throw new SubtenError('NOT_SUPPORTED', 'there is no gRPC to measure: subten has no gRPC server yet', {
      remedy: 'Measure kserve-json or kserve-binary; kserve-grpc comes with the gRPC server.',
    })
  }
  const url = serverUrl(target.url)
  const model = encodeURIComponent(target.model)
  const version = target.version === undefined ? '' : `/versions/${encodeURIComponent(target.version)}`
  const deadline: Record<string, string> =
    options.deadlineMs === undefined ? {} : { 'x-request-deadline': String(options.deadlineMs) }
  const limits = { url, connections: options.connections, timeoutMs: options.timeoutMs }
  let requests: HttpRequests
  let facts: { version?: string; engine?: string } = {}
  if (target.protocol === 'classify') {
    if (!target.image) throw new SubtenError('INVALID_INPUT', 'the classify endpoint needs a picture')
    const headers = { 'content-type': 'application/octet-stream', ...deadline }
    requests = { ...limits, path: `/v1/classify/${model}${version}`, headers, bodies: [{ bytes: target.image }] }
  } else {
    const metadata = await readMetadata(url, `/v2/models/${model}${version}`, target.model)
    const { inputs: specs } = metadata
    facts = { version: target.version ?? metadata.versions?.at(-1), engine: metadata.platform }
    const random = seededRandom(derivedSeed(options.seed, 4))
    const shapes = new Map(Object.entries(options.shapes ?? {}))
    const inputs = options.inputs ?? seededInputs({ name: target.model, inputs: specs }, random, count, shapes)
    const binary = target.protocol === 'kserve-binary'
    const bodies = inputs.map((each) => {
      if (!binary) return { bytes: jsonBody(specs, each) }
      const { bytes, headerLength } = binaryBody(specs, each)
      return { bytes, headers: { 'inference-header-content-length': String(headerLength) } }
    })
    const headers = { 'content-type': binary ? 'application/octet-stream' : 'application/json', ...deadline }
    requests = { ...limits, path: `/v2/models/${model}${version}/infer`, headers, bodies }
  }
  await tryOne(requests)
  return {
    facts: { kind: target.protocol, model: target.model, url, ...facts },
    caller: { kind: 'http', requests },
    meter: serverMeter(url, target.model),
  }
}

function serverUrl(text: string): string {
  try {
    const { protocol, origin } = new URL(text)
    if (protocol === 'http:' || protocol === 'https:') return origin
  } catch {
    // said below
  }
  throw new SubtenError('INVALID_INPUT', `${text} is no address of a server`, {
    remedy: 'Write it as http://127.0.0.1:8000.',
  })
}

interface Metadata {
  readonly inputs: readonly TensorSpec[]
  readonly versions?: readonly string[]
  readonly platform?: string
}

async function readMetadata(url: string, path: string, model: string): Promise<Metadata> {
  const answer = await reach(url, path)
  if (answer.status === 404) {
    throw new SubtenError('MODEL_NOT_FOUND', `the server at ${url} has no model '${model}'`, {
      remedy: 'Give the name that the server has for it, no path: POST /v2/repository/index lists them.',
    })
  }
  if (!answer.ok) throw refused(url + path, answer.status, await answer.text())
  const metadata = (await answer.json()) as { inputs?: { name: string; datatype: string; shape: number[] }[] }
  if (!Array.isArray(metadata.inputs)) throw refused(url + path, answer.status, 'its answer names no inputs')
  const inputs = metadata.inputs.map(({ name, datatype, shape }) => ({
    name,
    datatype: datatype as Datatype,
    shape: shape.map(Number),
  }))
  return { ...metadata, inputs }
}

async function tryOne({ url, path, headers, bodies, timeoutMs }: HttpRequests): Promise<void> {
  const [first] = bodies
  if (!first) throw new SubtenError('INVALID_INPUT', 'there are no inputs to send')
  const body = Buffer.from(first.bytes)
  const answer = await reach(url, path, {
    method: 'POST',
    body,
    headers: { ...headers, ...first.headers },
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await answer.text()
  // Too many requests, or one past its deadline: busy now, but it takes what is sent.
  const taken = [200, 429, 504].includes(answer.status)
  if (!taken) throw refused(url + path, answer.status, text)
}

async function reach(url: string, path: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(url + path, init)
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const why = cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause)
    throw new SubtenError('MODEL_NOT_FOUND', `no server answers at ${url}: ${why}`, {
      cause: error,
      remedy: 'Start one with `subten serve DIR`, or correct the address.',
    })
  }
}

function refused(address: string, status: number, body: string): SubtenError {
  const code = status === 404 ? 'MODEL_NOT_FOUND' : status < 500 ? 'INVALID_INPUT' : 'ENGINE_FAILED'
  return new SubtenError(code, `${address} answered ${status}: ${body.slice(0, 300)}`)
}
