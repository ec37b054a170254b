package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.TestGraphs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.onnx.run.OnnxSession;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Small models of the kind that transformers are made of, and data for them. */
final class Blocks {
    static final int WIDTH = 32;
    static final int INNER = 64;

    private Blocks() {}

    /**
     * A block that normalizes after each sum, as BERT's: one product, one residual connection, two
     * normalizations, of which the first has a channel that is far off and one that is far wider.
     */
    static TestGraphs postNorm() {
        return normalized()
                .weight("w1", WIDTH, INNER)
                .weight("b1", INNER)
                .weight("w2", INNER, WIDTH)
                .weight("b2", WIDTH)
                .weight("g2", WIDTH)
                .weight("c2", WIDTH)
                .node("p1 = MatMul(h, w1)")
                .node("a1 = Add(p1, b1)")
                .node("r = Relu(a1)")
                .node("p2 = MatMul(r, w2)")
                .node("a2 = Add(b2, p2)")
                .node("s = Add(a2, h)")
                .node("y = LayerNormalization(s, g2, c2)")
                .output("y: Float[N, L, 32]");
    }

    /** A normalization that only products read: three, as those of an attention. */
    static TestGraphs preNorm() {
        return normalized()
                .weight("wq", WIDTH, WIDTH)
                .weight("wk", WIDTH, WIDTH)
                .weight("wv", WIDTH, WIDTH)
                .node("q = MatMul(h, wq)")
                .node("k = MatMul(h, wk)")
                .node("v = MatMul(h, wv)")
                .node("qk = Add(q, k)")
                .node("y = Add(qk, v)")
                .output("y: Float[N, L, 32]");
    }

    private static TestGraphs normalized() {
        float[] gain = new float[WIDTH];
        float[] bias = new float[WIDTH];
        for (int c = 0; c < WIDTH; c++) {
            gain[c] = c == 3 ? 20 : 0.5f + c * 0.01f;
            bias[c] = c == 7 ? 30 : 0.1f;
        }
        return TestGraphs.opset(17)
                .input("x: Float[N, L, 32]")
                .floats("g", gain)
                .floats("c", bias)
                .node("h = LayerNormalization(x, g, c)");
    }

    /** Two products in a row of a matrix each, one transposed and scaled, as a classifier has. */
    static OnnxModel gemms() {
        return TestGraphs.opset(17)
                .input("x: Float[N, 32]")
                .weight("w1", INNER, WIDTH)
                .weight("b1", INNER)
                .weight("w2", INNER, WIDTH)
                .node(
                        "h = Gemm(x, w1, b1)",
                        node -> node.with("transB", 1).with("alpha", 0.5f).with("beta", 2f))
                .node("r = Relu(h)")
                .node("y = Gemm(r, w2)")
                .output("y: Float[N, 32]")
                .build();
    }

    /** Batches of normally distributed inputs, the same in each run. */
    static List<Map<String, Tensor>> data(int batches, long... shape) {
        var random = new Random(batches);
        var data = new ArrayList<Map<String, Tensor>>();
        for (int batch = 0; batch < batches; batch++) {
            float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) random.nextGaussian();
            }
            data.add(Map.of("x", Tensors.of(values, shape)));
        }
        return data;
    }

    /** The first result of a model for some inputs. */
    static float[] run(OnnxModel model, Map<String, Tensor> inputs) {
        try (var scope = new PointerScope();
                var session = OnnxSession.open(model, s -> s.threads(1))) {
            return Tensors.floats(session.run(inputs).values().iterator().next());
        }
    }

    /** The length of the difference relative to the length of what was expected. */
    static double error(float[] expected, float[] found) {
        double difference = 0;
        double size = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += Math.pow((double) expected[i] - found[i], 2);
            size += Math.pow(expected[i], 2);
        }
        return Math.sqrt(difference / size);
    }

    /** How many nodes call an operator. */
    static long count(OnnxModel model, String op) {
        return model.graph().nodes().stream().map(OnnxNode::op).filter(op::equals).count();
    }
}
