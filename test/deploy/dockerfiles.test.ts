import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Copy, DockerfileParser, type From, type Instruction, type JSONInstruction } from 'dockerfile-ast'
import { describe, expect, it } from 'vitest'
import { root, text } from './files.js'
import { serveFlags } from './serve-flags.js'

const manifest = JSON.parse(text('package.json')) as { version: string; scripts: Record<string, string> }

/** What `npm run build` and `npm ci` leave in a stage, by the checkout's own scripts, below /src. */
const built = [
  ['dist', 'tsup.config.ts'],
  ['build/Release/subten.node', 'scripts/build-native.mjs'],
  ['node_modules', 'package-lock.json'],
  // The native build leaves it there from the Triton backend on.
  ['build/Release/triton-backends/subten_onnxruntime', 'CMakeLists.txt'],
] as const

interface Stage {
  readonly name: string
  readonly image: string
  readonly instructions: Instruction[]
}

function stagesOf(path: string): Stage[] {
  const dockerfile = DockerfileParser.parse(text(path))
  const stages: Stage[] = []
  for (const instruction of dockerfile.getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From
      stages.push({ name: from.getBuildStage() ?? '', image: from.getImage() ?? '', instructions: [] })
    } else stages.at(-1)?.instructions.push(instruction)
  }
  return stages
}

const of = (stage: Stage, keyword: string): Instruction[] =>
  stage.instructions.filter((instruction) => instruction.getKeyword() === keyword)

const words = (instruction: Instruction): string[] => instruction.getArguments().map((argument) => argument.getValue())

const strings = (instruction: Instruction): string[] =>
  (instruction as JSONInstruction).getJSONStrings().map((value) => JSON.parse(value.getValue()) as string)

describe.each(['deploy/cpu/Dockerfile', 'deploy/cuda/Dockerfile', 'deploy/triton/Dockerfile'])('%s', (path) => {
  const stages = stagesOf(path)
  const last = stages.at(-1) as Stage
  const sent = text(`${path}.dockerignore`).split('\n')

  it('pins every image that it starts from', () => {
    for (const { image } of stages)
      expect(image).toMatch(/^[\w./]+:\$\{(NODE|PYTHON|CUDA|TRITON)_VERSION\}(-[\w.-]+)?$/)
    expect(text(path)).toMatch(/^ARG NODE_VERSION=\d+\.\d+\.\d+$/m)
    if (path.includes('cuda')) expect(text(path)).toMatch(/^ARG CUDA_VERSION=\d+\.\d+\.\d+$/m)
    if (path.includes('triton')) expect(text(path)).toMatch(/^ARG TRITON_VERSION=\d\d\.\d\d$/m)
  })

  it('copies only what the repository has and the context is sent, or what an earlier stage makes', () => {
    for (const stage of stages) {
      for (const instruction of of(stage, 'COPY') as Copy[]) {
        const from = instruction.getFromFlag()?.getValue()
        for (const source of words(instruction).slice(0, -1)) {
          if (from === undefined || from === null) {
            expect(existsSync(join(root, source)), source).toBe(true)
            expect(sent, `${source} in ${path}.dockerignore`).toContain(`!${source}`)
            continue
          }
          expect(
            stages.map(({ name }) => name),
            `stage ${from}`,
          ).toContain(from)
          if (source === '/usr/local/bin/node' || source === '/engine/lib') continue
          const inside = source.replace(/^\/src\//, '')
          const maker = built.find(([made]) => made === inside)?.[1] ?? inside
          expect(existsSync(join(root, maker)), source).toBe(true)
        }
      }
    }
  })

  it('sends nothing of the checkout that is missing from it', () => {
    for (const line of sent.filter((each) => each.startsWith('!'))) {
      expect(existsSync(join(root, line.slice(1))), line).toBe(true)
    }
  })

  it('copies everything that the build of the addon and of dist reads', () => {
    const copied = of(stages.find(({ name }) => name === 'build') as Stage, 'COPY').flatMap((each) => words(each))
    expect(copied).toEqual(
      expect.arrayContaining(['native', 'src', 'scripts', 'CMakeLists.txt', 'tsup.config.ts', 'tsconfig.json']),
    )
  })

  it('runs npm scripts that exist', () => {
    const runs = stages.flatMap((stage) => of(stage, 'RUN')).map((run) => run.getArgumentsContent() ?? '')
    const scripts = runs.flatMap((run) => [...run.matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1] as string))
    expect(scripts).toContain('build')
    for (const script of scripts) expect(manifest.scripts, script).toHaveProperty(script)
  })

  it('has no compiler and no development package in the image that runs', () => {
    const installed = of(last, 'RUN')
      .map((run) => run.getArgumentsContent() ?? '')
      .join('\n')
    expect(installed).not.toMatch(/g\+\+|cmake|make\b|npm (ci|install)/)
    const packages = stages.find(({ name }) => name === 'packages') as Stage
    expect(of(packages, 'RUN')[0]?.getArgumentsContent()).toBe('npm ci --omit=dev --ignore-scripts')
    const modules = (of(last, 'COPY') as Copy[]).find((copy) => words(copy)[0] === '/src/node_modules')
    expect(modules?.getFromFlag()?.getValue()).toBe('packages')
  })

  it('serves as a user that is not root, under an init, in exec form, and stops by SIGTERM', () => {
    expect(words(of(last, 'USER').at(-1) as Instruction)).toEqual(['1000:1000'])
    expect(strings(of(last, 'ENTRYPOINT')[0] as Instruction)).toEqual([
      '/usr/bin/tini',
      '--',
      'node',
      '/opt/subten/dist/cli.js',
    ])
    expect(words(of(last, 'STOPSIGNAL')[0] as Instruction)).toEqual(['SIGTERM'])
  })

  it('starts subten serve with options that it has, on the port that it exposes and asks for its health', () => {
    const flags = serveFlags(strings(of(last, 'CMD')[0] as Instruction))
    expect(flags).toMatchObject({ host: '0.0.0.0', httpPort: 8000, models: '/models' })
    expect(words(of(last, 'EXPOSE')[0] as Instruction)).toEqual(['8000'])
    expect(of(last, 'HEALTHCHECK')[0]?.getRawArgumentsContent()).toContain("http://127.0.0.1:8000/v2/health/ready'")
  })
})

it('all images are built from the same Node, and the tags in the comments are those of the package', () => {
  const versions = ['cpu', 'cuda', 'triton'].map(
    (kind) => /NODE_VERSION=(\S+)/.exec(text(`deploy/${kind}/Dockerfile`))?.[1],
  )
  expect(new Set(versions).size).toBe(1)
  for (const kind of ['cpu', 'cuda', 'triton']) {
    expect(text(`deploy/${kind}/Dockerfile`)).toMatch(
      new RegExp(`-t subten[\\w-]*:${manifest.version.replaceAll('.', '\\.')} \\.`),
    )
  }
})

it('the CUDA image has the ONNX Runtime that the checks on a GPU use', () => {
  const { version, sha256 } = JSON.parse(text('scripts/gpu.json')).onnxruntime
  expect(text('deploy/cuda/requirements.txt')).toContain(
    `onnxruntime-gpu==${version} \\\n    --hash=sha256:${sha256}\n`,
  )
  expect(text('deploy/cuda/Dockerfile')).toContain('SUBTEN_ONNXRUNTIME_LIB=/opt/onnxruntime/libonnxruntime.so.1')
})

// Until the backend's sources are in the repository, the Triton image cannot be built.
it.skipIf(!existsSync(join(root, 'native/triton_backend')))(
  'the native build makes the backend that the Triton image copies',
  () => {
    expect(text('CMakeLists.txt')).toMatch(
      /subten_triton_backend\(subten_onnxruntime |add_library\(triton_subten_onnxruntime /,
    )
    expect(text('CMakeLists.txt')).toContain('Release/triton-backends/')
    expect(text('deploy/triton/Dockerfile')).toContain('/src/build/Release/triton-backends/subten_onnxruntime ')
  },
)

it('an option that serve does not have is seen', () => {
  expect(() => serveFlags(['serve', '--no-such-option', '1'])).toThrow('not an option of serve')
  expect(() => serveFlags(['serve', '--http-port', 'x'])).toThrow()
  expect(() => serveFlags(['start'])).toThrow("no command 'start'")
})
