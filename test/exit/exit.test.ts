import { describe, expect, it } from 'vitest'
import { type Ended, runChild } from './child.js'
import { fits, runOnce, ways, works } from './ways.mjs'

/** Five runs: what happens at exit depends on where every thread is. */
async function five(code: string): Promise<Ended[]> {
  const ended: Ended[] = []
  for (let i = 0; i < 5; i++) ended.push(await runChild(code))
  return ended
}

// Five kinds of work, so five runs of nearly every way; `npm run test:node-matrix` makes it a hundred on each Node.
describe.each(works)('with requests of $name in flight', (work) => {
  it.each(ways.filter((way) => fits(work, way)))('$name', async (way) => {
    expect(await runOnce(work, way, 3 * ways.indexOf(way))).toBeUndefined()
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
