// The models under stress: how each is loaded, how a request to it is made, and what must come back.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mix } from './random.mjs'

const CASES = 256

/** Words that only this request has: arbitrary bits, so that a float that is not copied bit for bit shows. */
function words(id, seq, count) {
  const data = new Uint32Array(count)
  for (let i = 0; i < count; i++) data[i] = mix(mix(id, seq), i)
  if (count > 1) [data[0], data[1]] = [id, seq]
  return data
}

function sameBytes(a, b) {
  if (a.byteLength !== b.byteLength) return false
  if (a.byteLength > 1024) return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(viewOf(b))
  const [left, right] = [viewOf(a), viewOf(b)]
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false
  return true
}

function viewOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** A model whose output is its input. `width(random)`: elements of a row. */
function echo(input, output, array, width, wordsAnElement = 1) {
  return {
    make(id, seq, rows, random) {
      const columns = width(random)
      const data = new array(words(id, seq, rows * columns * wordsAnElement).buffer)
      return { [input]: rows === 1 && columns === width() ? data : { data, shape: [rows, columns] } }
    },
    wrong(inputs, outputs, rows) {
      const sent = inputs[input].data ?? inputs[input]
      const got = outputs[output]
      if (got.shape[0] !== rows) return `shape [${got.shape}] for ${rows} rows`
      if (sameBytes(sent, got.data)) return undefined
      const at = sent.findIndex((value, i) => !Object.is(value, got.data[i]))
      return `element ${at} of ${sent.length} is ${got.data[at]} of ${got.data.length}, not ${sent[at]}`
    },
    input,
  }
}

const floats = echo('input', 'output', Float32Array, () => 64)

const strings = {
  make(id, seq, rows, random) {
    const data = Array.from({ length: rows * 3 }, (_, i) => {
      const filler = ['', 'é', '🙂', 'x'.repeat(random.below(200)), '\0'][random.below(5)]
      return random.oneIn(9) ? '' : `${id}/${seq}/${i}${filler}`
    })
    return { x: { data, shape: [rows, 3] } }
  },
  wrong(inputs, outputs, rows) {
    const sent = inputs.x.data
    const got = outputs.y.data.map((each) => (typeof each === 'string' ? each : new TextDecoder().decode(each)))
    if (outputs.y.shape[0] !== rows) return `shape [${outputs.y.shape}] for ${rows} rows`
    const at = sent.findIndex((text, i) => text !== got[i])
    return at < 0 && got.length === sent.length ? undefined : `string ${at} is '${got[at]}', not '${sent[at]}'`
  },
}

/** Outputs whose size is known only after the run: they stay in the engine's memory until they are read. */
const nonzero = {
  make(_id, _seq, _rows, random) {
    return { x: Float32Array.from({ length: 1 + random.below(40) }, () => random.below(2) * (1 + random.below(9))) }
  },
  wrong(inputs, outputs) {
    const wanted = [...inputs.x.keys()].filter((i) => inputs.x[i] !== 0)
    const got = [...outputs.indices.data].map(Number)
    return String(got) === String(wanted) ? undefined : `indices ${got}, not ${wanted}`
  },
}

/** Known answers of models/mlp, computed one by one beforehand. A batch may round differently, by far less than rows differ. */
function mlp(cases) {
  return {
    make(id, seq, rows) {
      const data = new Float32Array(rows * 64)
      for (let row = 0; row < rows; row++) data.set(cases.inputs[(mix(id, seq) + row) % CASES], row * 64)
      return { input: rows === 1 ? data : { data, shape: [rows, 64] } }
    },
    wrong(_inputs, outputs, rows, id, seq) {
      const got = outputs.output.data
      if (got.length !== rows * 8) return `${got.length} numbers for ${rows} rows`
      for (let i = 0; i < got.length; i++) {
        const wanted = cases.outputs[(mix(id, seq) + (i >> 3)) % CASES][i & 7]
        if (!(Math.abs(got[i] - wanted) <= 1e-4 * (1 + Math.abs(wanted))))
          return `number ${i} is ${got[i]}, not ${wanted}`
      }
      return undefined
    },
    input: 'input',
  }
}

/** Rows for models/mlp and what it answers to each alone. */
export async function mlpCases(load) {
  const model = await load('models/mlp')
  const inputs = Array.from({ length: CASES }, (_, i) =>
    Float32Array.from({ length: 64 }, (_, k) => mix(i + 1, k) / 2 ** 31 - 1),
  )
  const outputs = inputs.map((input) => model.inferSync({ input }).output.data.slice())
  await model.close()
  return { inputs, outputs }
}

/** Directories of null-engine models that the repository lacks: large rows, and rows of any length. */
export function writeModels() {
  const root = mkdtempSync(join(tmpdir(), 'subten-stress-'))
  for (const [name, dims] of [
    ['large', 65_536],
    ['any', -1],
  ]) {
    mkdirSync(join(root, name, '1'), { recursive: true })
    const tensor = `data_type: TYPE_FP32 dims: [ ${dims} ]`
    writeFileSync(
      join(root, name, 'config.pbtxt'),
      `backend: "subten_null" max_batch_size: 8 dynamic_batching { }
       input [ { name: "input" ${tensor} } ] output [ { name: "output" ${tensor} } ]`,
    )
  }
  return root
}

/**
 * weight: how often it is asked. gives up: aborts and deadlines are used; a model without them must count exactly.
 * Queues are small on purpose: they are full all the time, and every slot has been used long before memory is measured.
 */
export function catalogue({ root, cases }) {
  return [
    {
      key: 'echo',
      path: 'models/echo',
      options: {
        instance_group: [{ count: 2 }],
        dynamic_batching: {
          priority_levels: 3,
          default_priority_level: 2,
          max_queue_delay_microseconds: 100,
          default_queue_policy: { allow_timeout_override: true },
          priority_queue_policy: { 3: { timeout_action: 'DELAY', default_timeout_microseconds: 2000 } },
        },
        maxQueueSize: 96,
      },
      weight: 30,
      maxRows: 8,
      priorities: 3,
      ...floats,
    },
    {
      key: 'async',
      path: 'models/echo',
      options: {
        parameters: { completion: 'async', busy_us: 10 },
        instance_group: [{ count: 3 }],
        maxQueueSize: 48,
        whenFull: 'wait',
      },
      weight: 25,
      maxRows: 4,
      noSync: true,
      ...floats,
    },
    {
      key: 'failing',
      path: 'models/echo',
      options: {
        parameters: { fail_every: 7 },
        instance_group: [{ count: 2 }],
        dynamic_batching: { preserve_ordering: true },
        maxQueueSize: 32,
      },
      weight: 10,
      maxRows: 2,
      steady: true,
      codes: ['ENGINE_FAILED'],
      ...floats,
    },
    { key: 'mlp', path: 'models/mlp', options: { maxQueueSize: 64 }, weight: 15, maxRows: 8, ...mlp(cases) },
    {
      key: 'strings',
      path: 'test/data/onnx/identity_bytes.onnx',
      options: { maxQueueSize: 64, whenFull: 'wait', memoryMb: 4 },
      weight: 6,
      maxRows: 4,
      noClaim: true,
      ...strings,
    },
    {
      key: 'int64',
      path: 'test/data/onnx/identity_int64.onnx',
      options: { maxQueueSize: 16 },
      weight: 6,
      maxRows: 4,
      steady: true,
      ...echo('x', 'y', BigInt64Array, () => 3, 2),
    },
    {
      key: 'large',
      path: join(root, 'large'),
      options: { memoryMb: 8 },
      weight: 1,
      maxRows: 2,
      ...echo('input', 'output', Float32Array, () => 65_536),
    },
    {
      key: 'any',
      path: join(root, 'any'),
      options: { memoryMb: 2, maxQueueSize: 256, whenFull: 'wait', debug: true },
      weight: 5,
      maxRows: 3,
      ...echo('input', 'output', Float32Array, (random) => (random ? random.below(300) : -1)),
    },
    {
      key: 'nonzero',
      path: 'test/data/onnx/nonzero.onnx',
      options: { memoryMb: 4, maxQueueSize: 64 },
      weight: 4,
      maxRows: 1,
      noClaim: true,
      ...nonzero,
    },
  ]
}
