"""image = pixels / 255, with a channel."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        pixels = pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy()
        image = pixels.reshape(-1, 1, 8, 8).astype(np.float32) / np.float32(255)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("image", image)])
