package io.espalier.onnx.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Module;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A module and its file, which should give the same. */
record Exported(Module module, OnnxModel file) {
    /** The file that is made with an example. */
    static Exported of(Module module, Tensor... example) {
        return new Exported(module, OnnxExport.of(module, example));
    }

    /** What ONNX Runtime gives. */
    List<Tensor> run(List<Tensor> inputs) {
        var named = new LinkedHashMap<String, Tensor>();
        for (int i = 0; i < inputs.size(); i++) {
            named.put(file.graph().inputs().get(i).getName(), inputs.get(i));
        }
        try (var session = OnnxSession.open(file, settings -> settings.threads(1))) {
            Map<String, Tensor> results = session.run(named);
            return file.graph().outputs().stream()
                    .map(output -> results.get(output.getName()))
                    .toList();
        }
    }

    /** Both give the same within a share of the largest result. */
    void assertAgree(double tolerance, Tensor... inputs) {
        try (var scope = new PointerScope();
                var noGrad = new NoGradGuard()) {
            List<Tensor> expected = new ArrayList<>();
            for (Tensor output : module.callAll(List.of(inputs))) {
                expected.add(output.is_quantized() ? output.dequantize() : output);
            }
            List<Tensor> given = run(List.of(inputs));
            assertEquals(expected.size(), given.size());
            for (int i = 0; i < expected.size(); i++) {
                assertClose(expected.get(i), given.get(i), tolerance);
            }
        }
    }

    static void assertClose(Tensor expected, Tensor given, double tolerance) {
        assertArrayEquals(Tensors.shape(expected), Tensors.shape(given));
        assertEquals(Tensors.type(expected), Tensors.type(given));
        if (expected.numel() == 0) {
            return;
        }
        Tensor a = expected.to(ScalarType.Double);
        Tensor b = given.to(ScalarType.Double);
        double largest = Math.max(1, a.nan_to_num().abs().max().item_double());
        Tensor apart = a.sub(b).nan_to_num().abs();
        double most = apart.max().item_double();
        assertTrue(
                most <= tolerance * largest,
                () ->
                        "apart by "
                                + most
                                + ":\n"
                                + Tensors.toString(expected)
                                + "\n"
                                + Tensors.toString(given));
    }
}
