import { runChild } from '../exit/child.js'

/** The addon itself, as src/runtime/binding.ts loads it, and a port over the null engine. */
const prelude = `
  import { createRequire } from 'node:module'
  const native = createRequire(process.cwd() + '/')('./build/Release/subten.node')
  const names = ['OK', ...native.layout().codes ? ['INVALID_INPUT', 'BATCH_TOO_LARGE', 'QUEUE_FULL', 'DEADLINE_EXCEEDED',
    'SLO_UNREACHABLE', 'MODEL_NOT_FOUND', 'MODEL_INVALID', 'MODEL_CLOSED', 'CONFIG_INVALID', 'ENGINE_NOT_FOUND',
    'ENGINE_VERSION', 'ENGINE_FAILED', 'OUT_OF_MEMORY', 'SLOT_RELEASED', 'NOT_SUPPORTED', 'UNSUPPORTED_PLATFORM'] : []]
  const said = (status) => (status < 0 ? names[-status] : status)
  const thrown = (call) => { try { return call() } catch (error) { return error.code ?? error.name } }
  const tensor = (name, type = 11, shape = [-1, 64]) => ({ name, type, shape, optional: false })
  const settings = (more) => ({ engine: 'null', inputs: [tensor('input')], outputs: [tensor('output')], maxBatchSize: 8,
    parameters: [], ...more })
  const options = (more) => ({ maxBatchSize: 8, dynamic: true, preferred: [], levels: [{ maxQueueSize: 32 }], instances: 1,
    memoryBytes: 1 << 20, maxQueueSize: 32, ...more })
  const openPort = async (model, core, onWake = () => {}) =>
    native.createPort((await native.openModel(settings(model))).handle, options(core), onWake)
  const lease = (port, count = 8) => {
    const pairs = new Uint32Array(2 * count)
    const got = port.lease(pairs)
    return Array.from({ length: got }, (_, i) => ({ slot: pairs[2 * i], generation: pairs[2 * i + 1] }))
  }
  const home = (port, slot) => new Float32Array(port.slab, port.homeOffsets[0] + slot * 256, 64)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  /** Takes until so many requests have ended; their first output values, by slot. */
  const drain = async (port, wanted) => {
    const ended = {}
    for (let seen = 0; seen < wanted; await turn()) {
      const count = port.take(64, 0)
      for (let i = 0; i < count; i++, seen++) {
        const record = new Uint32Array(port.taken)[i]
        const view = new DataView(port.records, record * port.stride)
        const offset = view.getFloat64(native.layout().header, true)
        ended[record] = view.getUint32(8, true) === 1 ? new Float32Array(port.slab, offset, 1)[0] : view.getUint32(12, true)
      }
      if (count > 0) port.take(0, 0)
    }
    return ended
  }
  const submit = (port, { slot, generation }, rows = 1) => port.submit(slot, generation, rows, 0, -1, 0, 0)
  /** The port still serves, and serves the right rows. */
  const works = async (port) => {
    const slots = lease(port)
    for (const each of slots) {
      home(port, each.slot).fill(each.slot + 1)
      if (submit(port, each) < 0) return 'a submit was refused'
    }
    const ended = await drain(port, slots.length)
    return slots.length > 0 && slots.every(({ slot }) => ended[slot] === slot + 1)
  }
  const tell = (result) => console.log(JSON.stringify(result, (_, value) => (value === undefined ? 'undefined' : value)))
`

/** Runs code that talks to the addon directly in a process of its own; what it `tell`s. */
export async function nativeChild(code: string): Promise<unknown> {
  const { code: exit, signal, stdout, stderr } = await runChild(prelude + code, { timeoutMs: 60_000 })
  if (exit !== 0) throw new Error(`the child ended with ${signal ?? exit}: ${stderr.slice(-2000)}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

/** The same on the public API: `load`, `sleep` and friends of test/exit/child.ts. */
export async function publicChild(code: string): Promise<unknown> {
  const helpers = `
    const tell = (result) => console.log(JSON.stringify(result))
    const outcome = async (promise) => { try { return [...(await promise).output.data.slice(0, 2)] } catch (error) { return error.code ?? error.name } }
    const works = async (model) => {
      const all = await Promise.all(Array.from({ length: 40 }, (_, i) => model.infer(row(i))))
      return all.every(({ output }, i) => output.data.every((value) => value === i))
    }
  `
  const { code: exit, signal, stdout, stderr } = await runChild(helpers + code, { timeoutMs: 60_000 })
  if (exit !== 0) throw new Error(`the child ended with ${signal ?? exit}: ${stderr.slice(-2000)}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}
