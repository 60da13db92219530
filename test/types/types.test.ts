import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, expect, it } from 'vitest'

const directories: string[] = []
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
})

/** What `tsc --strict` says of these files in a package that depends on the built subten. */
async function compile(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'subten-types-'))
  directories.push(directory)
  await mkdir(join(directory, 'node_modules'))
  await symlink(resolve('.'), join(directory, 'node_modules', 'subten'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const args = [
    '--noEmit',
    '--strict',
    '--target',
    'ES2022',
    '--module',
    'NodeNext',
    '--lib',
    'ES2023,ESNext.Disposable',
  ]
  args.push(
    '--preserveSymlinks',
    '--types',
    'node',
    '--typeRoots',
    resolve('node_modules/@types'),
    ...Object.keys(files),
  )
  const child = spawn(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...args], { cwd: directory })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const code = await new Promise((done) => child.on('close', done))
  return code === 0 ? '' : output || `tsc ended with ${code}`
}

const api = async (): Promise<string> =>
  (await readFile('test/types/api.ts', 'utf8')).replaceAll("'../../src/index.js'", "'subten'")

it('the declarations of the built package say what the API promises, for ESM and for CommonJS', async () => {
  const text = await api()
  const testing = "export { fakeModel } from 'subten/testing'\n"
  expect(await compile({ 'api.mts': text, 'api.cts': text, 'testing.mts': testing })).toBe('')
}, 60_000)

it('a program that is wrong does not compile', async () => {
  const output = await compile({ 'bad.mts': "import { load } from 'subten'\nload(5)\n" })
  expect(output).toContain("Argument of type 'number'")
}, 60_000)
