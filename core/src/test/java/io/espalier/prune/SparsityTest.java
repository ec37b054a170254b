package io.espalier.prune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.Quantization;

import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class SparsityTest {
    static final class Two extends Module {
        final Linear a = add("a", new Linear(10, 4));
        final Linear b = add("b", new Linear(4, 2, o -> o.bias(false)));
        final Linear again = add("again", a);
    }

    @Test
    @DisplayName("counts masked and real zeros, each shared parameter once, as a table")
    void counts() {
        var model = new Two();
        Prune.l1Unstructured(model.a, "weight", 30);
        Prune.l1Unstructured(model.b, "weight", 0.5);
        Prune.remove(model.b, "weight");
        model.a.parameter("bias").detach().fill_(new org.bytedeco.pytorch.Scalar(1));

        Sparsity sparsity = Sparsity.of(model);

        assertEquals(
                List.of(
                        new Sparsity.Part("a.bias", List.of(4L), 4, 0, false),
                        new Sparsity.Part("a.weight", List.of(4L, 10L), 40, 30, true),
                        new Sparsity.Part("b.weight", List.of(2L, 4L), 8, 4, false)),
                sparsity.parts());
        assertEquals(34.0 / 52, sparsity.sparsity());
        assertEquals(48.0 / 14, sparsity.only("weight").compression());
        assertEquals(
                """
                parameter  shape    count  zeros  sparsity
                a.bias     [4]          4      0     0.0 %
                a.weight   [4, 10]     40     30    75.0 %  mask
                b.weight   [2, 4]       8      4    50.0 %
                all                    52     34    65.4 %  2.9x\
                """,
                sparsity.toString());
    }

    @Test
    @DisplayName("the integers of a quantized model count, their zeros as well")
    void countsIntegers() {
        var model = new Two();
        Prune.l1Unstructured(model.a, "weight", 30);
        Quantization.quantizeDynamic(model);

        Sparsity sparsity = Sparsity.of(model);

        assertEquals(
                new Sparsity.Part("a.weight", List.of(4L, 10L), 40, 30, false),
                sparsity.parts().getFirst());
        assertEquals(48, sparsity.count());
    }

    @Test
    @DisplayName("a model without parameters is not sparse")
    void empty() {
        var model = new Module() {};
        assertEquals(0, Sparsity.of(model).sparsity());
        assertEquals(1, Sparsity.of(model).compression());
        assertEquals(List.of(), Target.weights(model));
    }

    @Test
    @DisplayName("the weights of a model are its parameters of two dimensions, each once")
    void weights() {
        var model = new Two();
        Prune.l1Unstructured(model.b, "weight", 0.5);
        assertEquals(
                List.of(new Target(model.a, "weight"), new Target(model.b, "weight")),
                Target.weights(model));
    }
}
