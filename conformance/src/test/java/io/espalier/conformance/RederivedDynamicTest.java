package io.espalier.conformance;

import io.espalier.conformance.Draws.Kind;
import io.espalier.conformance.PlainDynamic.Arithmetic;
import io.espalier.conformance.PlainDynamic.Recurrent;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Dynamic quantization a second time, as plain loops. */
@DisplayName("Dynamic quantization, derived anew in plain loops,")
class RederivedDynamicTest {
    private static final int CASES = 80;
    private static final Kind[] KINDS = {
        Kind.NORMAL, Kind.RELU, Kind.NEGATIVE, Kind.POSITIVE, Kind.ZERO, Kind.TINY
    };

    static IntStream seeds() {
        return IntStream.range(0, CASES);
    }

    @ParameterizedTest(name = "linear {0}")
    @DisplayName("gives the same outputs of a linear layer, for each type and engine")
    @MethodSource("seeds")
    void linear(int seed) {
        var draws = new Draws(seed);
        boolean half = draws.random.nextInt(3) == 0;
        String engine = half ? "fbgemm" : draws.of("fbgemm", "x86", "qnnpack");
        int in = draws.random.nextInt(1, 20);
        int out = draws.random.nextInt(1, 20);
        long[] shape = draws.shape(2, 4);
        shape[shape.length - 1] = in;
        float[] weight = draws.uniform(in * out, -0.6, 0.6);
        float[] bias = draws.uniform(out, -0.6, 0.6);
        boolean hasBias = draws.random.nextInt(5) > 0;
        if (!hasBias) {
            Arrays.fill(bias, 0);
        }
        long[] outShape = shape.clone();
        outShape[shape.length - 1] = out;
        var arithmetic =
                half
                        ? Arithmetic.FLOAT16
                        : engine.equals("qnnpack") ? Arithmetic.WIDE_INT8 : Arithmetic.INT8;

        Kind kind = draws.of(KINDS);
        float[] x = draws.values(kind, Draws.size(shape));
        // oneDNN, which x86 uses for some sizes, rounds after another multiplication.
        while (engine.equals("x86") && new PlainDynamic(arithmetic).isUndecided(x)) {
            x = draws.values(kind, x.length);
        }

        var written =
                new CaseWriter("dynamic")
                        .param("model", "linear")
                        .param("dtype", half ? "float16" : "qint8")
                        .param("engine", engine)
                        .input("x", draws.tensor(x, shape))
                        .input("param.0.weight", Tensors.of(weight, out, in))
                        .expect("y_float", y(Arithmetic.FLOAT, x, in, weight, bias, outShape))
                        .expect("y", y(arithmetic, x, in, weight, bias, outShape));
        if (hasBias) {
            written.input("param.0.bias", Tensors.of(bias));
        }
        written.passes(new PtqGroup());
    }

    private static Tensor y(
            Arithmetic arithmetic, float[] x, int in, float[] weight, float[] bias, long[] shape) {
        double[] y = new PlainDynamic(arithmetic).linear(x, in, weight, bias);
        return Tensors.of(PlainDynamic.floats(y), shape);
    }

    @ParameterizedTest(name = "recurrent {0}")
    @DisplayName("gives the same states of an LSTM and a GRU, for each type and engine")
    @MethodSource("seeds")
    void recurrent(int seed) {
        var draws = new Draws(seed);
        boolean lstm = draws.random.nextBoolean();
        boolean half = draws.random.nextInt(3) == 0;
        String engine = half ? "fbgemm" : draws.of("fbgemm", "x86");
        int in = draws.random.nextInt(1, 9);
        int state = draws.random.nextInt(1, 9);
        int steps = draws.random.nextInt(1, 6);
        int rows = draws.random.nextInt(1, 4);
        int gates = (lstm ? 4 : 3) * state;
        double most = 1 / Math.sqrt(state);
        var layer =
                new Recurrent(
                        in,
                        state,
                        draws.uniform(gates * in, -most, most),
                        draws.uniform(gates * state, -most, most),
                        draws.uniform(gates, -most, most),
                        draws.uniform(gates, -most, most));
        float[] x = draws.normal(steps * rows * in, 1);
        var plain = new PlainDynamic(Arithmetic.FLOAT);
        var rounded = new PlainDynamic(half ? Arithmetic.FLOAT16 : Arithmetic.INT8);
        long[] shape = {steps, rows, state};

        new CaseWriter("dynamic")
                .param("model", lstm ? "lstm" : "gru")
                .param("dtype", half ? "float16" : "qint8")
                .param("engine", engine)
                .input("x", Tensors.of(x, steps, rows, in))
                .input("param.0.weight_ih_l0", Tensors.of(layer.ofInput(), gates, in))
                .input("param.0.weight_hh_l0", Tensors.of(layer.ofState(), gates, state))
                .input("param.0.bias_ih_l0", Tensors.of(layer.inputBias()))
                .input("param.0.bias_hh_l0", Tensors.of(layer.stateBias()))
                .expect(
                        "y_float",
                        Tensors.of(
                                lstm ? plain.lstm(x, rows, layer) : plain.gru(x, rows, layer),
                                shape))
                .expect(
                        "y",
                        Tensors.of(
                                lstm ? rounded.lstm(x, rows, layer) : rounded.gru(x, rows, layer),
                                shape))
                .passes(new PtqGroup());
    }
}
