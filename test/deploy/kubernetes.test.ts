import { dirname, join } from 'node:path'
import { Deployment } from 'kubernetes-models/apps/v1'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { PersistentVolumeClaim, Service } from 'kubernetes-models/v1'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ModelHost } from '../../src/server/model-host.js'
import { createServer, type Server } from '../../src/server/server.js'
import { documents, filesUnder, text } from './files.js'
import { serveFlags } from './serve-flags.js'

type Fields = Record<string, unknown>

const folder = 'deploy/kubernetes'
/** The default of `exitTimeoutSeconds`: how long Triton waits for requests when it stops. */
const TRITON_EXIT_S = 5

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Kubernetes' strategic merge, as far as these files go: lists of named things merge by what names them. */
function merge(base: unknown, patch: unknown, field = ''): unknown {
  if (isFields(base) && isFields(patch)) {
    const merged: Fields = { ...base }
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete merged[key]
      else merged[key] = key in merged ? merge(merged[key], value, key) : value
    }
    return merged
  }
  const key = { containers: 'name', initContainers: 'name', volumes: 'name', env: 'name', volumeMounts: 'mountPath' }[
    field
  ]
  if (!key || !Array.isArray(base) || !Array.isArray(patch)) return patch
  const result = [...(base as Fields[])]
  for (const each of patch as Fields[]) {
    const at = result.findIndex((other) => other[key] === each[key])
    if (at < 0) result.push(each)
    else result[at] = merge(result[at], each) as Fields
  }
  return result
}

const one = (path: string): Fields => documents(join(folder, path))[0] as Fields
const base = one('base/deployment.yaml')
const cpu = merge(base, one('overlays/cpu/deployment.yaml')) as Fields
const gpu = merge(base, one('overlays/gpu/deployment.yaml')) as Fields
const fromImage = merge(cpu, one('components/models-from-image/deployment.yaml')) as Fields

interface Probe {
  httpGet: { path: string; port: string }
}
interface Container {
  args: string[]
  ports: { name: string; containerPort: number }[]
  startupProbe: Probe & { periodSeconds: number }
  readinessProbe: Probe
  livenessProbe: Probe
  lifecycle: { preStop: { exec: { command: string[] } } }
  securityContext: Fields
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[]
}
interface Pod {
  terminationGracePeriodSeconds: number
  securityContext: Fields
  containers: [Container]
  initContainers?: Container[]
  volumes: { name: string; emptyDir?: Fields; persistentVolumeClaim?: { claimName: string } }[]
}
const podOf = (deployment: Fields): Pod => (deployment.spec as { template: { spec: Pod } }).template.spec

const models = {
  Deployment,
  HorizontalPodAutoscaler,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  Service,
}

function validate(object: Fields): void {
  const Model = models[object.kind as keyof typeof models]
  const { apiVersion, kind, ...rest } = object
  const model = new Model(rest as never)
  expect({ apiVersion: model.apiVersion, kind: model.kind }).toEqual({ apiVersion, kind })
  model.validate()
}

describe('manifests', () => {
  it('are YAML, each of a kind that is known', () => {
    const kinds = filesUnder(folder, /\.yaml$/).flatMap((path) => documents(path).map((each) => (each as Fields).kind))
    expect([...new Set(kinds)].sort()).toEqual(
      [...Object.keys(models), 'Component', 'Kustomization', 'ServiceMonitor'].sort(),
    )
  })

  it('are valid by the schemas of Kubernetes', () => {
    for (const path of ['service', 'disruption-budget', 'network-policy', 'models-claim'])
      validate(one(`base/${path}.yaml`))
    validate(one('components/hpa/autoscaler.yaml'))
    for (const deployment of [base, cpu, gpu, fromImage]) validate(deployment)
  })

  it('that are not valid are told from those that are', () => {
    const wrong = merge(base, { spec: { replicas: 'two' } }) as Fields
    expect(() => validate(wrong)).toThrow('/spec/replicas must be integer')
  })

  it('name files that exist, and every file is named', () => {
    const named = new Set<string>()
    for (const path of filesUnder(folder, /^kustomization\.yaml$/)) {
      named.add(path)
      const { resources = [], patches = [] } = documents(path)[0] as {
        resources?: string[]
        patches?: { path?: string }[]
      }
      for (const each of [...resources, ...patches.flatMap((patch) => patch.path ?? [])]) {
        const target = join(dirname(path), each)
        named.add(each.endsWith('.yaml') ? target : join(target, 'kustomization.yaml'))
      }
    }
    expect([...named].sort()).toEqual(filesUnder(folder, /\.yaml$/))
  })

  it('take the version of the package as the tag of their images', () => {
    const { version } = JSON.parse(text('package.json')) as { version: string }
    for (const overlay of ['cpu', 'gpu']) {
      expect(one(`overlays/${overlay}/kustomization.yaml`).images).toMatchObject([{ name: 'subten', newTag: version }])
    }
  })

  it('select the pods that the deployment makes', () => {
    const labels = { 'app.kubernetes.io/name': 'subten' }
    expect(base).toMatchObject({ spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } } })
    expect(one('base/service.yaml')).toMatchObject({ spec: { selector: labels } })
    expect(one('base/disruption-budget.yaml')).toMatchObject({ spec: { selector: { matchLabels: labels } } })
    expect(one('base/network-policy.yaml')).toMatchObject({ spec: { podSelector: { matchLabels: labels } } })
    expect(one('components/hpa/autoscaler.yaml')).toMatchObject({ spec: { scaleTargetRef: { name: 'subten' } } })
  })
})

describe.each([
  ['overlays/cpu', cpu, 0],
  ['overlays/gpu', gpu, TRITON_EXIT_S],
] as const)('%s', (_name, deployment, engineStopS) => {
  const pod = podOf(deployment)
  const [container] = pod.containers
  const flags = serveFlags(container.args)
  let server: Server
  beforeAll(async () => {
    server = await createServer({ models: new ModelHost([]) })
  })
  afterAll(() => server.stop())

  it('probes and scrapes routes that the server has', async () => {
    const { annotations } = (deployment.spec as { template: { metadata: { annotations: Record<string, string> } } })
      .template.metadata
    const paths = [container.startupProbe, container.readinessProbe, container.livenessProbe].map((probe) => {
      expect(probe.httpGet.port).toBe('http')
      return probe.httpGet.path
    })
    expect(paths).toEqual(['/v2/health/ready', '/v2/health/ready', '/v2/health/live'])
    for (const url of [...paths, annotations['prometheus.io/path'] as string]) {
      expect((await server.app.inject({ url })).statusCode, url).toBe(200)
    }
    expect(Number(annotations['prometheus.io/port'])).toBe(flags.httpPort)
  })

  it('serves on the port that is named http, which is the default, on every address', () => {
    expect(container.ports).toMatchObject([{ name: 'http', containerPort: serveFlags(['serve']).httpPort }])
    expect(flags).toMatchObject({ host: '0.0.0.0', httpPort: 8000, models: '/models' })
    expect(one('base/service.yaml')).toMatchObject({ spec: { ports: [{ port: 8000, targetPort: 'http' }] } })
  })

  it('gives a stop the time for the load balancer, the requests in flight and the engine', () => {
    const pauseS = Number(container.lifecycle.preStop.exec.command[1])
    expect(pauseS + (flags.stopTimeout as number) + engineStopS).toBeLessThan(pod.terminationGracePeriodSeconds)
  })

  it('asks for whole CPUs, as many as its limit', () => {
    const { requests, limits } = container.resources
    expect(requests).toEqual(limits)
    expect(limits.cpu).toMatch(/^[1-9]\d*$/)
  })

  it('runs without root, capabilities and a file system to write to, but for the volumes that it needs', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const volumes = new Set(pod.volumes.map(({ name }) => name))
    for (const mount of container.volumeMounts) expect(volumes, mount.name).toContain(mount.name)
    expect(container.volumeMounts).toContainEqual({ name: 'models', mountPath: '/models', readOnly: true })
    expect(container.volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' })
  })
})

it('the GPU overlay has a GPU, and shared memory for the Python backend', () => {
  const { containers, volumes } = podOf(gpu)
  expect(containers[0].resources.limits['nvidia.com/gpu']).toBe('1')
  expect(containers[0].volumeMounts).toContainEqual({ name: 'shm', mountPath: '/dev/shm' })
  expect(volumes).toContainEqual({ name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } })
})

it('models of an image replace those of the claim', () => {
  const { initContainers, volumes } = podOf(fromImage)
  expect(initContainers).toHaveLength(1)
  const [claimed] = podOf(base).volumes
  expect(claimed?.persistentVolumeClaim?.claimName).toBe(
    (one('base/models-claim.yaml').metadata as { name: string }).name,
  )
  expect(volumes.find(({ name }) => name === 'models')).toEqual({ name: 'models', emptyDir: { sizeLimit: '20Gi' } })
})
