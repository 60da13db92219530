// What a user sees of an engine that crashes, and of one that never returns: docs/isolation.md.
import { describe, expect, it } from 'vitest'
import { runChild } from './child.js'

const crashing = (completion: string): string => `
  const model = await load('models/echo', { parameters: { crash_after: 3, completion: '${completion}' } })
  for (let i = 0; i < 2; i++) await model.infer(row(i))
  console.log('two')
  await model.infer(row(3))
  console.log('three')`

describe.each(['sync', 'async'])('an engine that crashes (%s)', (completion) => {
  it('ends the process by its signal, silently', async () => {
    expect(await runChild(crashing(completion))).toEqual({ code: null, signal: 'SIGSEGV', stdout: 'two\n', stderr: '' })
  })

  it('is named on stderr where SUBTEN_CRASH_NOTE is 1, and the signal stays', async () => {
    const end = await runChild(crashing(completion), { env: { SUBTEN_CRASH_NOTE: '1' } })
    expect(end).toMatchObject({ code: null, signal: 'SIGSEGV', stdout: 'two\n' })
    expect(end.stderr).toMatch(
      /^subten: SIGSEGV .*model 'echo' \(engine null\), instance 0, a batch of 1 request\(s\)\n$/,
    )
    expect(end.stderr.includes('another thread')).toBe(completion === 'async')
  })
})

it('the note is silent for traps of WebAssembly, and for signals while no engine runs', async () => {
  const bytes = '0061736d010000000105016000017f030201000503010001070501016600000a0d010b0041ffffffff072802000b'
  const trap = await runChild(
    `const model = await slowEcho(200)
     const running = model.infer(row(1))
     while (model.stats().running.batches === 0) await sleep(1)
     const { instance } = await WebAssembly.instantiate(Buffer.from('${bytes}', 'hex'))
     for (let i = 0; i < 20; i++) { try { instance.exports.f() } catch (error) { if (i === 0) console.log(error.name) } }
     console.log((await running).output.data[0])`,
    { env: { SUBTEN_CRASH_NOTE: '1' } },
  )
  expect(trap).toEqual({ code: 0, signal: null, stdout: 'RuntimeError\n1\n', stderr: '' })
  const aborted = await runChild(
    `const model = await slowEcho(0); await model.infer(row(1)); process.kill(process.pid, 'SIGSEGV'); await sleep(5000)`,
    { env: { SUBTEN_CRASH_NOTE: '1' } },
  )
  expect(aborted).toMatchObject({ code: null, signal: 'SIGSEGV', stderr: '' })
})

/** The second request of `model` has hung its only instance; `hung` is its promise, `giveUp` its AbortController. */
const hanging = `
  const model = await load('models/echo', { parameters: { hang_after: 2 }, instance_group: [{ count: 1 }] })
  await model.infer(row(1))
  const giveUp = new AbortController()
  const hung = model.infer(row(2), { signal: giveUp.signal }).catch((error) => error.name)
  while (model.stats().running.batches === 0) await sleep(1)`

describe('an engine that never returns', () => {
  it('shows in stats, leaves other models alone, and lets queued deadlines pass', async () => {
    const end = await runChild(`${hanging}
      const other = await slowEcho(0)
      console.log((await other.infer(row(7))).output.data[0])
      console.log(await model.infer(row(3), { deadlineMs: 20 }).catch((error) => error.code))
      const { batches, oldestMs } = model.stats().running
      console.log(batches, oldestMs > 15, other.stats().running.batches)
      process.exit(4)`)
    expect(end).toEqual({ code: 4, signal: null, stdout: '7\nDEADLINE_EXCEEDED\n1 true 0\n', stderr: '' })
  })

  it('keeps an abort and close() from hanging with it, and the process ends by itself', async () => {
    const end = await runChild(`${hanging}
      let closed = false
      const closing = model.close().then(() => { closed = true })
      const other = await slowEcho(0)
      for (let i = 0; i < 100; i++) await other.infer(row(i))
      console.log(closed) // its request is still under way
      giveUp.abort()
      console.log(await hung)
      await closing
      process.exitCode = 5`)
    expect(end).toMatchObject({ code: 5, signal: null, stdout: 'false\nAbortError\n' })
    expect(end.stderr).toContain('SUBTEN_ENGINE_STUCK')
    expect(end.stderr).toContain("model 'echo'")
  })

  it('holds one instance only: the others go on', async () => {
    const end = await runChild(`
      const model = await load('models/echo', { parameters: { hang_after: 1 }, instance_group: [{ count: 2 }], max_batch_size: 1 })
      model.infer(row(1))
      while (model.stats().running.batches === 0) await sleep(1)
      const { output } = await model.infer(row(2))
      console.log(output.data[0], model.stats().running.batches)
      process.exit(0)`)
    expect(end).toEqual({ code: 0, signal: null, stdout: '2 1\n', stderr: '' })
  })

  it.each([
    ['process.exit(3)', { code: 3, signal: null }],
    [`throw new Error('mine')`, { code: 1, signal: null }],
    [`process.kill(process.pid, 'SIGTERM'); await sleep(60_000)`, { code: null, signal: 'SIGTERM' }],
  ])('does not keep the process: %s', async (last, wanted) => {
    expect(await runChild(`${hanging}; ${last}`)).toMatchObject(wanted)
  })

  it('does not keep a worker thread that is terminated', async () => {
    const end = await runChild(`${hanging}
      const worker = inWorker("const { attach } = require('./dist/index.cjs'); const w = require('node:worker_threads'); const m = attach(w.workerData); m.infer({ input: new Float32Array(64) }); w.parentPort.postMessage(1)", model.share())
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
      console.log('terminated')
      process.exit(0)`)
    expect(end).toEqual({ code: 0, signal: null, stdout: 'terminated\n', stderr: '' })
  })
})
