"""OUTPUT = the sum of INPUT since the sequence's start, kept by the sequence's id."""

import triton_python_backend_utils as pb_utils


def scalar(request, name):
    return int(pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)[0])


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        # Slots of the batch without a request are marked as not ready; this backend gets none of them.
        sequence = scalar(request, "CORRID")
        value = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
        before = None if scalar(request, "START") else self.sums.get(sequence)
        total = value if before is None else before + value
        if scalar(request, "END"):
            self.sums.pop(sequence, None)
        else:
            self.sums[sequence] = total
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT", total)])
