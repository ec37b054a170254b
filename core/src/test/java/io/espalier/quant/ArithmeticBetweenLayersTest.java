package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;

@DisplayName("Between integer layers, a module's own code")
class ArithmeticBetweenLayersTest {
    private Tensor x;

    @BeforeEach
    void seed() {
        Libtorch.seed(3);
        x = Tensors.randn(8, 6);
    }

    /** What a module does with the results of two layers. */
    enum Together {
        OWN_SUM,
        SUM,
        PRODUCT,
        SUM_WITH_FLOATS,
        CAT,
        STACK;

        Tensor of(Tensor a, Tensor b) {
            return switch (this) {
                case OWN_SUM -> a.add(b);
                case SUM -> Functional.add(a, b);
                case PRODUCT -> Functional.mul(a, b);
                case SUM_WITH_FLOATS -> Functional.add(a, b.is_quantized() ? b.dequantize() : b);
                case CAT -> Functional.cat(List.of(a, b), 1);
                case STACK -> Functional.stack(List.of(a, b), -1);
            };
        }
    }

    /** Two branches, one of a range ten times the other's. */
    private static final class Branches extends Module {
        final Linear a = add("a", new Linear(6, 5));
        final Linear b = add("b", new Linear(6, 5));
        private final Together together;

        Branches(Together together) {
            this.together = together;
            b.parameter("weight").detach().mul_(new Scalar(10));
        }

        @Override
        protected Tensor forward(Tensor x) {
            return together.of(a.call(x), b.call(x));
        }
    }

    private Module converted(Module model, String backend) {
        model.qconfig(QConfig.forBackend(backend));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        return model;
    }

    @ParameterizedTest
    @ValueSource(strings = {"fbgemm", "x86", "qnnpack", "onednn"})
    @DisplayName("joins results of different ranges in one that holds both")
    void joins(String backend) {
        for (Together joined : List.of(Together.CAT, Together.STACK)) {
            Module model = new Branches(joined);
            model.eval();
            Tensor expected = model.call(x);

            Tensor actual = converted(model, backend).call(x);

            float off = actual.sub(expected).abs().max().item_float();
            assertTrue(off < 0.05 * expected.abs().max().item_float(), "off by " + off);
        }
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.EXCLUDE,
            names = {"CAT", "STACK"})
    @DisplayName("adds and multiplies by a FloatFunctional, as an error of a few lines says")
    void namesFloatFunctional(Together together) {
        Module model = new Branches(together);
        model.eval();
        converted(model, "x86");

        var error = assertThrows(EspalierException.class, () -> model.call(x));

        var trace = new StringWriter();
        error.printStackTrace(new PrintWriter(trace));
        String message = String.valueOf(error.getMessage());
        assertTrue(message.contains("FloatFunctional") && message.length() < 700, message);
        assertFalse(trace.toString().contains("frame #"), trace.toString());
        assertTrue(trace.toString().contains("Together.of"), trace.toString());
    }
}
