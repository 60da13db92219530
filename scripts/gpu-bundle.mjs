// npm run gpu:bundle [FOLDER]: everything that `npm run test:gpu` and `npm run bench:gpu` need on a machine with a GPU and
// nothing else (no network, no Node), as pieces of less than 60 MB; the CUDA libraries themselves come from that machine.
//
//   ort.piece    ONNX Runtime's CUDA provider (xz), its kernels for one architecture only (scripts/gpu.json)
//   base.piece   Node, ONNX Runtime, this package built, the models, the checks and benchmarks (tar.gz)
//   triton.piece Triton and our backends, where `npm run triton:install` has been run (tar.gz)
//   unpack.sh    unpacks the pieces that lie beside it: sh unpack.sh TARGET
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { build } from './build.mjs'
import { keepArchitecture } from './fatbin.mjs'
import { at, locked, main, run, StepError, say } from './step.mjs'
import { buildTensorrt, FLAVOURS } from './tensorrt-build.mjs'

const pins = JSON.parse(fs.readFileSync(new URL('./gpu.json', import.meta.url), 'utf8'))
const downloads = at('.cache', 'gpu-downloads')
const PROVIDER = 'libonnxruntime_providers_cuda.so'
/** What a machine with a GPU needs of the repository. */
const FILES = [
  'package.json',
  'dist',
  'build/Release/subten.node',
  ...FLAVOURS.map((flavour) => `build/Release/subten_tensorrt_${flavour}.so`),
  'bench/gpu',
  'scripts/step.mjs',
  'scripts/models/resnet50_weights.py',
  'test/gpu',
  'test/data/digits-heldout.json',
  ...['digits', 'digits_int8', 'digits_triton', 'mlp'].map((name) => `models/${name}`),
  ...['protobufjs', '@protobufjs', 'long', 'node-gyp-build'].map((name) => `node_modules/${name}`),
  'build/Release/triton-backends',
  '.cache/models/resnet50/config.pbtxt',
  '.cache/models/resnet50/1/model.onnx',
  '.cache/models/resnet50_fp16/config.pbtxt',
  '.cache/models/resnet50_fp16/1/model.onnx',
  '.cache/models/weights.json',
]
const TRITON = ['.cache/triton/lib', '.cache/triton/backends', '.cache/triton/bin']

const UNPACK = `#!/bin/sh
# sh unpack.sh TARGET: unpacks the pieces beside it into TARGET/subten, TARGET/node and TARGET/ort.
set -e
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/ort"
if [ -f "$here/ort.piece" ]; then xz -dc "$here/ort.piece" > "$1/ort/${PROVIDER}"; fi
for piece in base triton; do
  if [ -f "$here/$piece.piece" ]; then tar -xzf "$here/$piece.piece" -C "$1"; fi
done
`

main(async () => {
  const target = resolve(process.argv[2] ?? at('.cache', 'gpu'))
  await build()
  await locked(() => buildTensorrt())
  const wheel = await download()
  const stage = at('.cache', `gpu-stage.${process.pid}`)
  fs.mkdirSync(join(stage, 'ort'), { recursive: true })
  fs.mkdirSync(target, { recursive: true })
  try {
    await run('unzip', ['-q', '-o', '-j', wheel, 'onnxruntime/capi/libonnxruntime*', '-d', join(stage, 'ort')])
    await providerPiece(join(stage, 'ort', PROVIDER), join(target, 'ort.piece'))
    await layOutNode(stage)
    layOut(stage, FILES)
    linkLibrary(join(stage, 'ort'))
    await tarPiece(stage, ['ort', 'node', 'subten'], join(target, 'base.piece'))
    fs.rmSync(join(stage, 'subten'), { recursive: true })
    if (fs.existsSync(at('.cache/triton/lib'))) {
      layOut(stage, TRITON)
      await tarPiece(stage, ['subten'], join(target, 'triton.piece'))
    } else say('without Triton: npm run triton:install has not been run')
    fs.writeFileSync(join(target, 'unpack.sh'), UNPACK)
  } finally {
    fs.rmSync(stage, { recursive: true, force: true })
  }
  for (const name of fs.readdirSync(target)) {
    const { size } = fs.statSync(join(target, name))
    say(`${name}: ${(size / 1e6).toFixed(1)} MB`)
    if (size > pins.pieceBytes) throw new StepError(`${name} is larger than a piece may be: cut it with split`)
  }
})

/** The wheel of ONNX Runtime for GPUs, by pip, checked against its hash. */
async function download() {
  const { package: name, version, file, python, platform, sha256 } = pins.onnxruntime
  const wheel = join(downloads, file)
  fs.mkdirSync(downloads, { recursive: true })
  if (!fs.existsSync(wheel)) {
    say(`downloading ${file}`)
    const only = ['--no-deps', '--only-binary=:all:', '--python-version', python, '--platform', platform]
    await run('python3', ['-m', 'pip', 'download', '-q', ...only, '-d', downloads, `${name}==${version}`])
  }
  const digest = createHash('sha256').update(fs.readFileSync(wheel)).digest('hex')
  if (digest !== sha256) throw new StepError(`${wheel} is not the file that scripts/gpu.json pins: remove it`)
  return wheel
}

async function providerPiece(provider, piece) {
  const library = fs.readFileSync(provider)
  const { kept, cleared } = keepArchitecture(library, pins.architecture)
  say(
    `kernels for sm_${pins.architecture}: ${(kept / 1e6).toFixed(0)} MB kept, ${(cleared / 1e6).toFixed(0)} MB left out`,
  )
  fs.writeFileSync(provider, library)
  await run('xz', ['-T0', '-6', '-f', provider])
  fs.renameSync(`${provider}.xz`, piece)
}

/** Node from the npm package that carries its binary. */
async function layOutNode(stage) {
  const { package: name, version } = pins.node
  const packed = join(downloads, `${name}-${version}.tgz`)
  if (!fs.existsSync(packed))
    await run('npm', ['pack', '--silent', '--pack-destination', downloads, `${name}@${version}`])
  fs.mkdirSync(join(stage, 'node'), { recursive: true })
  await run('tar', ['-xzf', packed, '-C', join(stage, 'node'), '--strip-components=2', 'package/bin/node'])
}

function layOut(stage, files) {
  for (const file of files) {
    if (!fs.existsSync(at(file))) {
      if (file.startsWith('.cache/models')) continue // test:gpu names what it skips
      throw new StepError(`there is no ${file}`)
    }
    const to = join(stage, 'subten', file)
    fs.mkdirSync(dirname(to), { recursive: true })
    fs.cpSync(at(file), to, { recursive: true, verbatimSymlinks: true })
  }
}

/** ONNX Runtime's library under the name that its providers and subten look for. */
function linkLibrary(folder) {
  const [library] = fs.readdirSync(folder).filter((name) => /^libonnxruntime\.so\.\d+\.\d+/.test(name))
  fs.symlinkSync(library, join(folder, 'libonnxruntime.so.1'))
  fs.rmSync(join(folder, 'libonnxruntime_providers_tensorrt.so'), { force: true })
}

async function tarPiece(stage, folders, piece) {
  await run('tar', ['-C', stage, '-czf', piece, ...folders])
}
