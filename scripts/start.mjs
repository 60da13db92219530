// npm start: checks, installs, builds what changed, then serves ./models. Arguments go to `subten serve`:
//   npm start -- --http-port 9000        (--install also installs missing system tools)
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { build } from './build.mjs'
import { install } from './npm.mjs'
import { at, main, root } from './step.mjs'
import { buildTools, checkTools } from './tools.mjs'

main(async () => {
  const args = process.argv.slice(2)
  await checkTools({ required: buildTools, install: args.includes('--install') })
  await install()
  await build()
  const passed = args.filter((arg) => arg !== '--install')
  const models = passed.some((arg) => arg === '--models' || arg.startsWith('--models=')) ? [] : ['--models', './models']
  await serve([at('dist', 'cli.js'), 'serve', ...models, ...passed])
})

/** Runs the server as if it were this process: same terminal, same signals, same exit code. */
function serve(args) {
  return new Promise((done) => {
    const server = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' })
    // A terminal sends Ctrl-C to both processes; forwarding it again would be a second one, so it is only waited for.
    process.on('SIGINT', () => {
      if (!process.stdin.isTTY) server.kill('SIGINT')
    })
    process.on('SIGTERM', () => server.kill('SIGTERM'))
    process.on('SIGHUP', () => server.kill('SIGHUP'))
    // `kill` of npm ends npm and its shell only: a server whose npm is gone would hold its port for ever.
    const parent = process.ppid
    const orphaned = setInterval(() => process.ppid !== parent && server.kill('SIGTERM'), 500)
    if (!process.env.npm_lifecycle_event) clearInterval(orphaned)
    server.on('exit', (code, signal) => {
      clearInterval(orphaned)
      process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
      done()
    })
  })
}
