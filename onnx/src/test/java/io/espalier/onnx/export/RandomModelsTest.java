package io.espalier.onnx.export;

import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.PReLU;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;

@DisplayName("Files of models drawn at random")
class RandomModelsTest {
    private static final int CHANNELS = 6;

    /** Steps on [N, 6, H, W] that keep its shape, with shortcuts, and a linear layer at the end. */
    static final class Drawn extends Module {
        private final List<UnaryOperator<Tensor>> steps = new ArrayList<>();
        private final Linear head = add("head", new Linear(CHANNELS, 3));

        Drawn(long seed) {
            var random = new Random(seed);
            for (int i = 0; i < 3 + random.nextInt(6); i++) {
                steps.add(step(random, i));
            }
        }

        private UnaryOperator<Tensor> step(Random random, int i) {
            return switch (random.nextInt(12)) {
                case 0, 1, 2 -> {
                    boolean deep = random.nextBoolean();
                    var conv =
                            add(
                                    "conv" + i,
                                    new Conv2d(
                                            CHANNELS,
                                            CHANNELS,
                                            3,
                                            o -> o.padding(1).groups(deep ? CHANNELS : 1)));
                    yield conv::call;
                }
                case 3 -> add("bn" + i, new BatchNorm2d(CHANNELS))::call;
                case 4 -> add("gn" + i, new GroupNorm(2, CHANNELS))::call;
                case 5 -> add("prelu" + i, new PReLU(CHANNELS))::call;
                case 6 -> Functional::relu;
                case 7 -> Functional::hardswish;
                case 8 -> x -> Functional.add(Functional.silu(x), x);
                case 9 ->
                        x ->
                                Functional.mul(
                                        x,
                                        Functional.sigmoid(
                                                Functional.mean(x, new long[] {2, 3}, true)));
                case 10 ->
                        x -> {
                            List<Tensor> halves = Functional.chunk(x, 2, 1);
                            return Functional.cat(List.of(halves.get(1), halves.get(0)), 1);
                        };
                default -> x -> Functional.transpose(Functional.transpose(x, 2, 3), 2, 3);
            };
        }

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = x;
            for (UnaryOperator<Tensor> step : steps) {
                y = step.apply(y);
            }
            return head.call(Functional.mean(y, new long[] {2, 3}, false));
        }
    }

    @ParameterizedTest
    @DisplayName("give their results, in floats and in integers")
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
    void agree(long seed) {
        Libtorch.seed(seed);
        var model = new Drawn(seed);
        Tensor x = Tensors.randn(2, CHANNELS, 7, 5);
        model.call(x);
        model.eval();

        Exported.of(model, x).assertAgree(1e-5, Tensors.randn(3, CHANNELS, 7, 5));

        OnnxModel int8 = OnnxExport.of(Quantization.quantize(model, x, List.of(x)), x);
        new Exported(Quantization.quantize(model, x, List.of(x)), int8).assertAgree(0.03, x);
    }
}
