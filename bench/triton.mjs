// What does Triton cost inside the process, beside the same Triton behind a socket? The same core and the same models: by
// the engine triton, by the `tritonserver` binary over HTTP and gRPC on loopback, by a C++ program that calls the same
// library, and by subten's own ONNX Runtime engine.

import { load } from 'subten'
import { openLoop } from './arrivals.mjs'
import { inSubten } from './contenders.mjs'
import {
  closedLatency,
  inTurn,
  interleave,
  isQuick,
  median,
  millis,
  paired,
  quantiles,
  randomRows,
  rounds,
} from './measure.mjs'
import { buildPrograms, runProgram } from './programs.mjs'
import { figureLine, ratioLine } from './report.mjs'
import {
  BACKENDS,
  grpcClient,
  httpClient,
  isInstalled,
  LIBRARY,
  makeRepository,
  startServer,
} from './triton-server.mjs'

const COUNT = rounds(11)
const MS = millis(800)
const LIMIT_US = 10_000
const RATE_MS = millis(1500)
const RATE_COUNT = rounds(3)

export default async function measure() {
  if (!isInstalled()) throw new Error('this needs Triton: npm run triton:install, then npm run build')
  await buildPrograms()
  const repository = makeRepository()
  const server = await startServer(repository.folder)
  const out = { lines: [], rows: [], raw: {} }
  try {
    await oneAtATime(repository.folder, server, out)
    await whoBatches(repository.folder, out)
    await atTheLimit(repository.folder, server, out)
    await againstOnnxRuntime(repository.folder, out)
  } finally {
    server.stop()
    repository.remove()
  }
  const notes = [
    'Clients in this process: undici with binary tensors, @grpc/grpc-js with raw contents. The binary runs the same library file with the same backend, on the same CPUs. The C++ program is bench/native/triton_floor.cc: its main thread sleeps in epoll and is woken by an eventfd, as an event loop is; where its threads and Triton’s land on the CPUs decides between 3 and 70 µs, for it and for the others, so its figure is the median of separate starts.',
    `The highest rate: Poisson arrivals from another process, raised by a quarter until p99 passes ${LIMIT_US / 1000} ms in two of three runs.`,
  ]
  return { question: 'What does Triton cost inside the process?', notes, ...out }
}

const engine = (folder, name, triton = {}) =>
  load(`${folder}/${name}`, {
    engine: 'triton',
    engineLibrary: LIBRARY,
    triton: { backendDirectory: BACKENDS, ...triton },
  })

async function oneAtATime(folder, server, { lines, rows, raw }) {
  const rowsOf = randomRows(64, 64, 1)
  const next = inTurn(rowsOf)
  const model = await engine(folder, 'identity_alone')
  const http = httpClient(server.http, { model: 'identity_alone', input: 'INPUT0' })
  const rpc = grpcClient(server.rpc, { model: 'identity_alone', input: 'INPUT0' })
  const timed = (call) => () => closedLatency(call, 1, MS)
  const contenders = {
    'in process': timed(() => model.infer({ INPUT0: next() })),
    HTTP: timed(() => http.call(next())),
    gRPC: timed(() => rpc.call(next())),
    'C++': () => runProgram('triton_floor', [LIBRARY, folder, 'identity_alone', MS * 5, BACKENDS, 'epoll']),
  }
  const found = await interleave(contenders, COUNT, (run) => run())
  const times = Object.fromEntries(['in process', 'HTTP', 'gRPC'].map((name) => [name, quantiles(found[name])]))
  const floor = { p50s: found['C++'].map((f) => f.p50_ns / 1000), p99s: found['C++'].map((f) => f.p99_ns / 1000) }
  raw['one at a time'] = { ...times, 'C++': floor }
  for (const [name, time] of Object.entries(times)) rows.push({ what: `identity, one at a time: ${name}`, ...time })
  rows.push({ what: 'identity, one at a time: C++', p50: median(floor.p50s), p99: median(floor.p99s) })
  const ratio = (key, over, under) => paired(over[`${key}s`], under[`${key}s`])
  for (const other of ['HTTP', 'gRPC']) {
    for (const key of ['p50', 'p99']) {
      const bar = { most: other === 'gRPC' && key === 'p50' ? 0.2 : 1 }
      lines.push(
        ratioLine({
          name: `identity, ${key}: in process / ${other}`,
          ratio: ratio(key, times['in process'], times[other]),
          bar,
        }),
      )
    }
  }
  lines.push(
    ratioLine({
      name: 'identity, p50: in process / C++ through the same library',
      ratio: ratio('p50', times['in process'], floor),
      bar: { most: 1.3 },
    }),
  )
  const { stages } = model.stats()
  for (const [name, stage] of Object.entries(stages)) {
    if (name.startsWith('triton')) lines.push(figureLine({ name: `identity, ${name}, p50`, us: stage.p50 }))
  }
  await Promise.all([model.close(), http.close(), rpc.close()])
}

/** Two queues in a row only add delay: the same model with subten's batcher and with Triton's. */
async function whoBatches(folder, { lines, rows, raw }) {
  const found = {}
  for (const callers of [1, 64]) {
    const next = inTurn(randomRows(64, 64, 2))
    // One after the other in each round: Triton has a model once, with one configuration.
    const results = { subten: [], triton: [] }
    for (let round = 0; round < rounds(5); round++) {
      for (const batching of ['subten', 'triton']) {
        const model = await engine(folder, 'identity', { batching })
        await closedLatency(() => model.infer({ INPUT0: next() }), callers, MS / 4)
        results[batching].push(await closedLatency(() => model.infer({ INPUT0: next() }), callers, MS))
        await model.close()
      }
    }
    for (const [batching, histograms] of Object.entries(results)) {
      const time = quantiles(histograms)
      found[`${batching} ${callers}`] = time
      rows.push({
        what: `identity, ${callers} in flight, ${batching} batches`,
        ...time,
        rate: (callers / time.p50) * 1e6,
      })
    }
    lines.push(
      ratioLine({
        name: `identity, ${callers} in flight, p50: batched by subten / by Triton`,
        ratio: paired(found[`subten ${callers}`].p50s, found[`triton ${callers}`].p50s),
      }),
    )
  }
  raw['who batches'] = found
}

async function atTheLimit(folder, server, { lines, rows, raw }) {
  const next = inTurn(randomRows(64, 64, 3))
  const model = await engine(folder, 'identity')
  const http = httpClient(server.http, { model: 'identity', input: 'INPUT0' })
  const rpc = grpcClient(server.rpc, { model: 'identity', input: 'INPUT0' })
  const calls = {
    'in process': [() => model.infer({ INPUT0: next() }), 20_000],
    HTTP: [() => http.call(next()), 500],
    gRPC: [() => rpc.call(next()), 500],
  }
  const best = {}
  for (const [name, [call, from]] of Object.entries(calls)) {
    best[name] = await highestRate(call, from)
    rows.push({ what: `identity, highest rate with p99 under 10 ms: ${name}`, rate: best[name] })
  }
  raw['highest rate'] = best
  for (const other of ['HTTP', 'gRPC']) {
    lines.push(
      ratioLine({
        name: `identity, highest rate with p99 under 10 ms: in process / ${other}`,
        ratio: best['in process'] / best[other],
        bar: { least: 1 },
      }),
    )
  }
  await Promise.all([model.close(), http.close(), rpc.close()])
}

async function highestRate(call, from) {
  let held = 0
  for (let perSecond = from; ; perSecond = Math.round(perSecond * 1.25)) {
    let passed = 0
    for (let run = 0; run < RATE_COUNT && passed < 2 && run - passed < 2; run++) {
      const { histogram, refused } = await openLoop(call, { perSecond, ms: RATE_MS, seed: 7 + run })
      if (histogram.percentile(99) / 1000 < LIMIT_US && !refused) passed++
    }
    if (passed < 2) return held
    held = perSecond
    if (isQuick && held >= from * 2) return held
  }
}

/** What Triton's core costs: digits by our backend in Triton, and by subten's own engine. */
async function againstOnnxRuntime(folder, { lines, rows, raw }) {
  const own = await inSubten('digits')
  let triton
  try {
    triton = await engine(folder, 'digits_triton')
  } catch (error) {
    lines.push(`digits by Triton: not measured: ${error.message}`)
    return own.close()
  }
  const [input] = triton.inputs
  const next = inTurn(own.data.map((row) => ({ [input.name]: row })))
  const calls = { own: own.infer, triton: () => triton.infer(next()) }
  for (const callers of [1, 64]) {
    const found = await interleave(calls, COUNT, (call) => closedLatency(call, callers, MS))
    const times = { own: quantiles(found.own), triton: quantiles(found.triton) }
    raw[`digits ${callers}`] = times
    for (const [name, time] of Object.entries(times)) {
      rows.push({
        what: `digits, ${callers} in flight: ${name === 'own' ? 'engine onnxruntime' : 'engine triton'}`,
        ...time,
      })
    }
    lines.push(
      ratioLine({
        name: `digits, ${callers} in flight, p50: engine triton / engine onnxruntime`,
        ratio: paired(times.triton.p50s, times.own.p50s),
      }),
    )
  }
  await Promise.all([own.close(), triton.close()])
}
