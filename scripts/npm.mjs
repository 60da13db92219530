// npm itself: running it, and knowing whether node_modules is what package-lock.json says.
import { existsSync, readFileSync } from 'node:fs'
import { at, locked, run, say } from './step.mjs'

/** Runs the npm that runs this script, else the one on the PATH. */
export function npm(args, options = {}) {
  // onnxruntime-node's install script downloads 300 MB of CUDA libraries that nothing here uses.
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip', ...options.env }
  const cli = process.env.npm_execpath
  if (cli?.endsWith('.js')) return run(process.execPath, [cli, ...args], { ...options, env })
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { ...options, env })
}

/** `npm ci` when node_modules is missing or does not match the lockfile. */
export async function install() {
  await locked(async () => {
    if (isInstalled()) return
    say('installing npm packages (npm ci)')
    await npm(['ci', '--no-fund', '--no-audit', '--loglevel=error'], { quiet: true })
  })
}

function isInstalled() {
  const record = at('node_modules', '.package-lock.json') // npm's own note of what it installed
  if (!existsSync(record)) return false
  const there = JSON.parse(readFileSync(record, 'utf8')).packages
  const wanted = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.link) return true
    const found = there[path]
    return found ? found.version === entry.version : Boolean(entry.optional || entry.peer)
  })
}
