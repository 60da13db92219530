import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { contract, objective } from './objectives.js'

const run = promisify(execFile)

const sla = contract(
  objective({
    name: 'echo-right',
    target: 0.9,
    indicator: { kind: 'accuracy', model: 'echo' },
    alerts: [
      { name: 'fast', conditions: [{ severity: 'page', burnRate: 2, longMs: 60_000, shortMs: 5000 }], targets: [] },
    ],
  }),
  objective({ name: 'echo-available', indicator: { kind: 'availability', model: 'echo', point: 'engine' } }),
)

/** Runs a program that loads from dist/, in a process of its own. */
async function program(body: string): Promise<string> {
  const index = JSON.stringify(pathToFileURL('dist/index.js').href)
  const text = `import { load } from ${index}\nconst sla = ${JSON.stringify(sla)}\n${body}`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', text], { timeout: 20_000 })
  return stdout
}

describe('load(path, { sla })', () => {
  it('tells listeners of the model, from the timer of the environment', async () => {
    const out = await program(`
      const model = await load('models/echo', { sla })
      const told = new Promise((resolve) => model.once('sla', resolve))
      model.sla.record('accuracy', { good: 0, total: 10 })
      const { type, objective, alert } = await Promise.race([told, new Promise((_, no) => setTimeout(no, 10_000))])
      console.log(type, objective, alert.policy)
      await model.infer({ input: new Float32Array(64) })
      await new Promise((resolve) => setTimeout(resolve, 1500))
      console.log(JSON.stringify(model.sla.status().objectives[1].events))
      await model.close()`)
    expect(out).toBe('alert echo-right fast\n{"good":1,"total":1,"excluded":0}\n')
  })

  it('keeps no process alive, neither after close() nor without it', async () => {
    expect(await program(`await (await load('models/echo', { sla })).close(); console.log('closed')`)).toBe('closed\n')
    expect(await program(`await load('models/echo', { sla }); console.log('left open')`)).toBe('left open\n')
  })
})
