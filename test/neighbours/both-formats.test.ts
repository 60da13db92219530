// `import` and `require` of subten in one process: two copies of the JavaScript, one core.
import { expect, it } from 'vitest'
import { runChild } from '../exit/child.js'

async function child(body: string, args: string[] = []): Promise<unknown> {
  const prelude = `
    import { createRequire } from 'node:module'
    const cjs = createRequire(process.cwd() + '/')('./dist/index.cjs')
  `
  const ended = await runChild(prelude + body, { args, timeoutMs: 60_000 })
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' })
  return JSON.parse(ended.stdout)
}

it('a model that one of them loaded is attached to by the other: one queue, one set of figures', async () => {
  const seen = await child(`
    const model = await load('models/echo')
    const same = cjs.attach(model.share())
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? model : same).infer(row(i))))
    const right = all.every(({ output }, i) => output.data[63] === i)
    const succeeded = [model, same].map((each) => each.stats().requests.succeeded)
    await model.close()
    const after = (await same.infer(row(7))).output.data[0]
    await same.close()
    console.log(JSON.stringify({ right, succeeded, after, twoCopies: cjs.load !== load }))`)
  expect(seen).toEqual({ right: true, succeeded: [100, 100], after: 7, twoCopies: true })
})

it('an error of one is a SubtenError to the other, and nothing else is', async () => {
  const seen = await child(`
    const error = await load('models/nothing').catch((each) => each)
    const other = await cjs.load('models/nothing').catch((each) => each)
    class Mine extends subten.SubtenError {}
    console.log(JSON.stringify([
      [error instanceof subten.SubtenError, error instanceof cjs.SubtenError],
      [other instanceof subten.SubtenError, other instanceof cjs.SubtenError],
      [new Mine('QUEUE_FULL', 'x') instanceof cjs.SubtenError, new Mine('QUEUE_FULL', 'x') instanceof Mine, error instanceof Mine],
      [null, undefined, 1, {}, new Error('x')].map((each) => each instanceof cjs.SubtenError),
      [error.constructor.name, error.name],
    ]))`)
  expect(seen).toEqual([
    [true, true],
    [true, true],
    [true, true, false],
    [false, false, false, false, false],
    ['SubtenError', 'SubtenError'],
  ])
})

it('withDeadline of one holds for models of the other', async () => {
  const seen = await child(`
    const model = await slowEcho(50)
    const others = cjs.attach(model.share())
    const busy = [model.infer(row(0)), model.infer(row(1))]
    const codes = await Promise.all([
      cjs.withDeadline(0, () => model.infer(row(2)).catch(({ code }) => code)),
      subten.withDeadline(0, () => others.infer(row(3)).catch(({ code }) => code)),
      subten.withDeadline(0, () => cjs.withDeadline(10000, () => others.infer(row(3)).catch(({ code }) => code))),
    ])
    await Promise.all(busy)
    await others.close()
    await model.close()
    console.log(JSON.stringify(codes))`)
  expect(seen).toEqual(Array(3).fill('DEADLINE_EXCEEDED'))
})

const major = Number(process.versions.node.split('.')[0])
const permission = major >= 23 ? '--permission' : '--experimental-permission'
const flags = [
  ['--frozen-intrinsics'],
  ['--disable-proto=throw'],
  ['--disable-proto=delete'],
  ['--disallow-code-generation-from-strings'],
  [permission, '--allow-fs-read=*', '--allow-addons'],
]

it.each(flags)('loads and infers, by import and by require, under %s', async (...args) => {
  const ended = await runChild(
    `
    import { createRequire } from 'node:module'
    const cjs = createRequire(process.cwd() + '/')('./dist/index.cjs')
    for (const each of [load, cjs.load]) {
      const model = await each('models/digits')
      const { probabilities } = await model.infer({ image: new Float32Array(64) })
      const error = await model.infer({}).catch(({ code }) => code)
      console.log(probabilities.data.length, error, model.inferSync({ image: new Float32Array(64) }).probabilities.shape[1])
      await model.close()
    }`,
    // Node warns of its own flags.
    { args: ['--no-warnings', ...args.filter((arg) => arg !== undefined)], timeoutMs: 60_000 },
  )
  expect(ended).toEqual({ code: 0, signal: null, stdout: '10 INVALID_INPUT 10\n'.repeat(2), stderr: '' })
})
