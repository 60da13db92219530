# Forwards to CMakeLists.txt through cmake-js, for tools that look for this file (node-gyp rebuild).
{
  "targets": [
    {
      "target_name": "subten",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake-js",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(PRODUCT_DIR)/subten.node", "<(PRODUCT_DIR)/always-run-cmake"],
          "action": ["node", "scripts/build-native.mjs", "<(PRODUCT_DIR)/subten.node"]
        }
      ]
    }
  ]
}
