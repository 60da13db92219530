// What docs/packaging.md says that an application needs: subten is left out of the bundle, and its binaries go with the server.
const root = import.meta.dirname

export default {
  output: 'standalone',
  outputFileTracingRoot: root,
  turbopack: { root },
  serverExternalPackages: ['subten'],
  outputFileTracingIncludes: {
    '/api/digits': [
      './node_modules/subten/package.json',
      './node_modules/subten/prebuilds/linux-x64/**',
      './node_modules/@subten/jpeg-linux-x64/**',
      './node_modules/@subten/onnxruntime-linux-x64/**',
      './node_modules/node-gyp-build/**',
    ],
  },
}
