import { describe, expect, it } from 'vitest'
import { type Ended, runChild } from './child.js'

/** Kinds of work in flight when the process ends: a busy engine of ours, and ONNX Runtime in a long run. */
const work: [string, string][] = [
  ['the null engine', `const model = await slowEcho(200); const run = () => model.infer(row(1)).catch(() => {})`],
  [
    'the null engine, asynchronous',
    `const model = await load('models/echo', { parameters: { busy_us: 200000, completion: 'async' } }); const run = () => model.infer(row(1)).catch(() => {})`,
  ],
  ['ONNX Runtime', `const slow = await slowOnnx(200_000_000n); const run = () => slow.run().catch(() => {})`],
]
const inFlight = 'run(); run(); await sleep(30);'

/** Five runs: what happens at exit depends on where every thread is. */
async function five(code: string, options: Parameters<typeof runChild>[1] = {}): Promise<Ended[]> {
  const ended: Ended[] = []
  for (let i = 0; i < 5; i++) ended.push(await runChild(code, options))
  return ended
}

describe.each(work)('with requests of %s in flight', (_, setup) => {
  it('process.exit(3) ends with 3', async () => {
    for (const end of await five(`${setup}; ${inFlight} process.exit(3)`)) {
      expect(end).toMatchObject({ code: 3, signal: null, stderr: '' })
    }
  })

  it('process.exit(3) right after the submit ends with 3', async () => {
    for (const end of await five(`${setup}; run(); process.exit(3)`)) {
      expect(end).toMatchObject({ code: 3, signal: null, stderr: '' })
    }
  })

  it('an uncaught exception ends with 1 and its own message', async () => {
    for (const end of await five(`${setup}; ${inFlight} throw new Error('mine')`)) {
      expect(end).toMatchObject({ code: 1, signal: null, stderr: expect.stringContaining('mine') })
    }
  })

  it('SIGTERM ends it by that signal', async () => {
    const ended = await five(`${setup}; run(); run(); console.log('ready'); await sleep(60_000)`, {
      onOutput: (_text, kill) => kill('SIGTERM'),
    })
    for (const end of ended) expect(end).toMatchObject({ code: null, signal: 'SIGTERM' })
  })
})

describe('a process', () => {
  it('with an idle model ends by itself', async () => {
    const end = await runChild(`const model = await slowEcho(0); await model.infer(row(1)); console.log('done')`)
    expect(end).toMatchObject({ code: 0, signal: null, stdout: 'done\n', stderr: '' })
  })

  it('lives until its requests have ended', async () => {
    const end = await runChild(`const model = await slowEcho(100); model.infer(row(1)).then(() => console.log('done'))`)
    expect(end).toMatchObject({ code: 0, signal: null, stdout: 'done\n' })
  })

  it('does not wait for requests of a model that was unref’ed, and stays up for one that was ref’ed', async () => {
    const unref = await runChild(`
      const model = (await slowEcho(300)).unref()
      model.infer(row(1)).then(() => console.log('done'))
      process.on('exit', () => console.log('exit'))`)
    expect(unref).toMatchObject({ code: 0, signal: null, stdout: 'exit\n' })
    const ref = await runChild(`
      const model = (await slowEcho(0)).ref()
      setTimeout(() => { console.log('unref'); model.unref() }, 100).unref()`)
    expect(ref).toMatchObject({ code: 0, signal: null, stdout: 'unref\n' })
  })

  it('that ends in the middle of loading ends cleanly', async () => {
    for (const end of await five(`load('models/digits'); load('models/mlp').then(() => process.exit(3))`)) {
      expect(end).toMatchObject({ code: 3, signal: null, stderr: '' })
    }
  })

  it('that holds a claimed slot and the result of another ends cleanly', async () => {
    const end = await runChild(`
      const model = await slowEcho(0)
      globalThis.held = [await model.claim(), await model.claim()]
      globalThis.result = await held[0].submit()`)
    expect(end).toMatchObject({ code: 0, signal: null, stderr: '' })
  })
})

it('a slot that is forgotten is reclaimed with a warning', async () => {
  const end = await runChild(
    `const model = await load('models/echo', { maxQueueSize: 8 })
     const claim = async () => { let count = 0; while (model.tryClaim()) count++; return count }
     console.log(await claim() > 0)
     for (let i = 0; i < 20; i++) { globalThis.gc(); await sleep(5) }
     console.log(await claim() > 0)`,
    { args: ['--expose-gc'] },
  )
  expect(end).toMatchObject({
    code: 0,
    stdout: 'true\ntrue\n',
    stderr: expect.stringContaining('SUBTEN_SLOT_FORGOTTEN'),
  })
  expect(end.stderr).toContain("slot of model 'echo'")
})

it('a library of the engine that is not there is ENGINE_NOT_FOUND, naming the path, and hinders no other engine', async () => {
  const end = await runChild(`
    try { await load('models/mlp', { engineLibrary: '/nowhere/libonnxruntime.so' }) } catch (error) {
      console.log(error.code, error.message.includes('/nowhere/libonnxruntime.so'), error.remedy !== '')
    }
    const echo = await slowEcho(0)
    console.log((await echo.infer(row(2))).output.data[0])
    const mlp = await load('models/mlp')
    console.log((await mlp.infer(row(0))).output.shape)`)
  expect(end).toMatchObject({ code: 0, stdout: 'ENGINE_NOT_FOUND true true\n2\n[ 1, 8 ]\n', stderr: '' })
})
