// npm run test:stress [-- --requests N --seed N --more N --cycles N]: builds what changed and runs the stress in a Node
// of its own. Two heaps of libc are enough: one a thread would make memory come and go by more than a leak.
import { spawnSync } from 'node:child_process'
import { build } from '../../scripts/build.mjs'
import { at, root } from '../../scripts/step.mjs'

await build(['native', 'ts', 'engine'])
const { status, signal } = spawnSync(
  process.execPath,
  ['--expose-gc', at('test', 'stress', 'main.mjs'), ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit', env: { ...process.env, MALLOC_ARENA_MAX: '2' } },
)
if (signal) console.error(`stress: ended by ${signal}`)
process.exitCode = status ?? 1
