package io.espalier.quant;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.ELU;
import io.espalier.nn.Hardswish;
import io.espalier.nn.Hook;
import io.espalier.nn.LayerNorm;
import io.espalier.nn.LeakyReLU;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.nn.Sigmoid;
import io.espalier.nn.Softmax;
import io.espalier.nn.Tanh;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.Random;

/** Rows of layers, subclasses of layers and hooks, drawn at random. */
class RandomModelsTest {
    private static final int WIDTH = 8;
    private static final int MODELS = 25;

    /** A subclass of a layer that computes something else. */
    private static final class Shifted extends Linear {
        Shifted() {
            super(WIDTH, WIDTH);
        }

        @Override
        protected Tensor forward(Tensor x) {
            return super.forward(x).add(new Scalar(2));
        }
    }

    private static Sequential model(Random random) {
        Module[] layers = new Module[2 + random.nextInt(6)];
        for (int i = 0; i < layers.length; i++) {
            layers[i] = layer(random);
            if (random.nextInt(4) == 0) {
                layers[i].onOutput(hook(random));
            }
            if (random.nextInt(4) == 0) {
                layers[i].onInput(hook(random));
            }
        }
        layers[random.nextInt(layers.length)] = new Linear(WIDTH, WIDTH); // one that all ways take
        var model = new Sequential(layers);
        model.eval();
        return model;
    }

    private static Module layer(Random random) {
        return switch (random.nextInt(11)) {
            case 0 -> new ReLU();
            case 1 -> new Sigmoid();
            case 2 -> new Tanh();
            case 3 -> new Hardswish();
            case 4 -> new LeakyReLU(0.1);
            case 5 -> new ELU();
            case 6 -> new Softmax(-1);
            case 7 -> new LayerNorm(WIDTH);
            case 8 -> new Shifted();
            default -> new Linear(WIDTH, WIDTH);
        };
    }

    private static Hook hook(Random random) {
        double factor = random.nextInt(3) - 1; // 0 looks on
        return factor == 0
                ? (module, tensors) -> tensors
                : (module, tensors) -> List.of(tensors.getFirst().mul(new Scalar(2 * factor)));
    }

    @ParameterizedTest
    @EnumSource(EveryWay.class)
    @DisplayName("Quantized in any way, they give nearly what they gave")
    void keepsResults(EveryWay way) {
        for (int seed = 0; seed < MODELS; seed++) {
            Libtorch.seed(seed);
            Sequential model = model(new Random(seed));
            Tensor x = Tensors.randn(64, WIDTH);
            Tensor expected = model.call(x).detach().clone();
            String tree = model.toString();

            Tensor actual = way.quantized(model, x).call(x);

            float error = actual.sub(expected).norm().item_float();
            float size = expected.norm().item_float();
            assertTrue(
                    error < 0.1 * size,
                    way + ", seed " + seed + ": " + error + " of " + size + tree);
        }
    }
}
