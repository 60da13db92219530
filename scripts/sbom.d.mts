interface Component {
  'bom-ref': string
  name: string
  version: string
  scope: string
  licenses?: unknown[]
}

/** CycloneDX 1.5: what npm installs with subten, and what is bundled into its files. */
export function packageSbom(): Promise<{
  bomFormat: string
  specVersion: string
  serialNumber?: string
  metadata: { component: Component; timestamp?: string }
  components: Component[]
  dependencies: { ref: string; dependsOn?: string[] }[]
}>
