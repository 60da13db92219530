// npm run project:vision: the vision service from nothing. Pictures from their seed, the models, Triton, the settings that
// keep a contract of 20 ms looked for and explained (`subten optimize`), then the service under load over HTTP, and a report.
//   npm run project:vision -- --rate 150 --seconds 20      another load
//   npm run project:vision -- --quick                      minutes instead of half an hour: to see that it works
//   npm run project:vision -- --no-triton --no-open --out /tmp/vision
//   npm run project:vision -- --keep-search                 only the load over HTTP anew, beside the search of before
//   npm run project:vision -- --others                     then the reports of digits and ResNet-50 too
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../build.mjs'
import { at, main, run, StepError, say } from '../step.mjs'

const SLA_MS = 20
const VARIANTS = [
  { title: 'FP32', folder: at('models', 'vision') },
  { title: 'INT8', folder: at('models', 'vision_int8') },
]

main(async () => {
  const { values: flags } = parseArgs({
    options: {
      rate: { type: 'string', default: '150' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'no-triton': { type: 'boolean', default: false },
      'no-open': { type: 'boolean', default: false },
      'keep-search': { type: 'boolean', default: false },
      others: { type: 'boolean', default: false },
      out: { type: 'string', default: at('docs', 'reports', 'vision') },
    },
  })
  const out = resolve(flags.out)
  const rate = positive('--rate', flags.rate)
  const seconds = flags.seconds === undefined ? (flags.quick ? 2 : 10) : positive('--seconds', flags.seconds)
  mkdirSync(out, { recursive: true })

  say('1 of 5: build')
  await build()
  say('2 of 5: pictures, drawn from their seed')
  await run(process.execPath, [at('scripts', 'vision', 'data.mjs')])
  say(`3 of 5: Triton${flags['no-triton'] ? ': left out as asked' : ''}`)
  const engines = flags['no-triton'] ? ['onnxruntime'] : await withTriton()
  say(`4 of 5: precision, batching, instances, threads: what keeps p99 within ${SLA_MS} ms`)
  if (flags['keep-search'] && existsSync(join(out, 'report.md'))) say('kept from before')
  else await optimise(out, engines, flags.quick)
  say(`5 of 5: the service under load over HTTP, ${rate} pictures a second`)
  const serving = await serve({ out, engines, rate, seconds, repeats: flags.quick ? 1 : 3 })
  writeFileSync(join(out, 'README.md'), page(out, serving))
  say(`${join(out, 'README.md')}, report.html, serving.html`)
  if (flags.others) await (await import('./others.mjs')).optimiseOthers(flags.quick)
  if (!flags['no-open']) open(join(out, 'report.html'))
})

function positive(name, text) {
  const value = Number(text)
  if (value > 0) return value
  throw new StepError(`${name} needs a number above 0, not ${text}`)
}

/** Triton's real core is an hour's download nowhere, but it is not for every machine: without it the rest is worth doing. */
async function withTriton() {
  if (process.env.TRITON_SERVER_LIB || existsSync(at('.cache', 'triton', 'lib', 'libtritonserver.so'))) {
    return ['onnxruntime', 'triton']
  }
  const { code } = await run(process.execPath, [at('scripts', 'triton-install.mjs')], { check: false })
  if (code === 0) return ['onnxruntime', 'triton']
  say('Triton could not be installed: everything that follows is without it')
  return ['onnxruntime']
}

async function optimise(out, engines, quick) {
  // Relative to the root, where `run` runs it: the report names the data as they were given, and is committed.
  const args = ['optimize', join('models', 'vision'), '--slo', `p99=${SLA_MS}ms`]
  args.push('--data', join('.cache', 'vision', 'heldout'), '--engine', engines.join(','), '--batch', '1,8,32')
  args.push('--budget', quick ? '2m' : '12m', '--out', out, '--state', at('.cache', 'vision', 'optimize'), '--progress')
  await run(process.execPath, [at('dist', 'cli.js'), ...args])
}

async function serve({ out, engines, rate, seconds, repeats }) {
  const { makeRepository } = await import('./settings.mjs')
  const { startServer } = await import('./server.mjs')
  const { measureServing, WARMUP_SECONDS } = await import('./serving.mjs')
  const { servingMarkdown, writeServing } = await import('./serving-report.mjs')
  const repository = mkdtempSync(join(tmpdir(), 'subten-vision-'))
  try {
    const settings = makeRepository(repository, VARIANTS, engines, SLA_MS)
    const server = await startServer(repository)
    try {
      const image = readFileSync(somePicture())
      const asked = { rate, seconds, repeats, image, slaMs: SLA_MS, title: 'Off, static, slo × FP32, INT8' }
      const before = server.cpuMs()
      const measured = await measureServing(server.url, settings, asked)
      const spent = server.cpuMs() - before
      const pictures = measured.flatMap(({ runs }) => runs.map((run) => run.requests.sent + rate * WARMUP_SECONDS))
      const cpuMs = spent / pictures.reduce((sum, sent) => sum + sent, 0)
      const machine = await writeServing(out, 'serving', measured, 'vision')
      return { text: servingMarkdown(measured, asked), machine, cpuMs }
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(repository, { recursive: true, force: true })
  }
}

function somePicture() {
  const folder = at('.cache', 'vision', 'heldout')
  const label = readdirSync(folder, { withFileTypes: true }).find((entry) => entry.isDirectory())?.name
  const file = label && readdirSync(join(folder, label))[0]
  if (file) return join(folder, label, file)
  throw new StepError(`there are no pictures in ${folder}`)
}

function page(out, { text, machine, cpuMs }) {
  const found = readFileSync(join(out, 'report.md'), 'utf8')
  const { cpu, cpus, memoryGiB, os, node } = machine
  return `# The vision service: what keeps p99 within ${SLA_MS} ms

Made by \`npm run project:vision\` on ${cpu}, ${cpus} CPUs, ${memoryGiB} GiB, ${os}, Node ${node}. The model tells traffic signs apart, all of
them drawn by a script ([scripts/vision](../../../scripts/vision/README.md)): synthetic, and not for real roads. To look at: [report.html](report.html) (the search),
[serving.html](serving.html) (the load over HTTP); for machines: [report.json](report.json), [serving.json](serving.json).

## Over HTTP, pictures in and labels out

${text}
${cpuMs > 0 ? `A picture took about ${cpuMs.toFixed(1)} ms of the server's processor time, all settings together: HTTP, decoding, resizing and the model. The` : 'The'} client ran on the
same CPUs. What the model itself can do is below.

## What was looked for, and found

${found.replace(/^# .*\n/, '').replaceAll(/^(#+ )/gm, '#$1')}`
}

/** In the browser, where there is a desktop. */
function open(file) {
  if (!process.stdout.isTTY || process.env.CI) return
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY) return
  const command = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const viewer = spawn(command, [file], { stdio: 'ignore', detached: true })
  viewer.on('error', () => say(`no browser was found: open ${file}`))
  viewer.unref()
}
