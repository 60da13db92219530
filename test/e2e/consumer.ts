// A package that depends on subten as npm packs it, without a registry: what a user's node_modules holds.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The files that `npm pack` takes, relative to the root. */
export function packed(): string[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'], {
    cwd: root,
    encoding: 'utf8',
  })
  const report = JSON.parse(output)
  const entry = Array.isArray(report) ? report[0] : Object.values(report)[0]
  return entry.files.map((file: { path: string }) => file.path)
}

/** Copies what npm packs into `folder`; a release carries prebuilt addons, the one of this checkout stands for them. */
export function unpackInto(folder: string): void {
  for (const file of packed()) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    cpSync(join(root, file), join(folder, file))
  }
  const prebuilt = join(folder, 'prebuilds', `${process.platform}-${process.arch}`)
  rmSync(prebuilt, { recursive: true, force: true })
  mkdirSync(prebuilt, { recursive: true })
  cpSync(join(root, 'build/Release/subten.node'), join(prebuilt, 'subten.node'))
}

/** A folder with subten and what it depends on in its node_modules. The caller removes it. */
export function makeConsumer(packageJson: object = {}): string {
  const user = mkdtempSync(join(tmpdir(), 'subten-user-'))
  unpackInto(join(user, 'node_modules', 'subten'))
  for (const name of [
    ...Object.keys(manifest.dependencies),
    ...Object.keys(manifest.optionalDependencies),
    '@types/node',
  ]) {
    const link = join(user, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, ...packageJson }))
  return user
}
