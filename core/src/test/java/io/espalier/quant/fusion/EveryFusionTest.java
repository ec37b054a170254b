package io.espalier.quant.fusion;

import static io.espalier.TensorAssertions.assertClose;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.TrainedModels;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.observer.MovingAverageMinMaxObserver;
import io.espalier.quant.observer.Qscheme;
import io.espalier.quant.observer.QuantizedType;
import io.espalier.quant.qat.FusedMovingAvgObsFakeQuantize;
import io.espalier.tensor.Engine;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Every chain that fuses, by its fused names, for inference and for training. */
class EveryFusionTest {
    /** As PyTorch's for qnnpack, with averages that follow the latest batches. */
    private static final QConfig QUICK =
            new QConfig(
                    FusedMovingAvgObsFakeQuantize.with(MovingAverageMinMaxObserver.with(0.5)),
                    FusedMovingAvgObsFakeQuantize.with(
                            MovingAverageMinMaxObserver.with(0.5)
                                    .dtype(QuantizedType.QINT8)
                                    .qscheme(Qscheme.PER_TENSOR_SYMMETRIC)),
                    Engine.QNNPACK);

    private static Module layer(String kind) {
        return switch (kind) {
            case "Linear" -> new Linear(4, 6);
            case "Conv1d" -> new Conv1d(4, 6, 3);
            case "Conv2d" -> new Conv2d(4, 6, 3);
            case "Conv3d" -> new Conv3d(4, 6, 3);
            case "ConvTranspose1d" -> new ConvTranspose1d(4, 6, 3);
            case "ConvTranspose2d" -> new ConvTranspose2d(4, 6, 3);
            case "ConvTranspose3d" -> new ConvTranspose3d(4, 6, 3);
            default -> throw new IllegalArgumentException(kind);
        };
    }

    private static int rank(String kind) {
        return kind.equals("Linear") ? 0 : kind.charAt(kind.length() - 2) - '0';
    }

    private static Tensor input(String kind) {
        return switch (rank(kind)) {
            case 0 -> Tensors.randn(16, 4);
            case 1 -> Tensors.randn(16, 4, 7);
            case 2 -> Tensors.randn(16, 4, 7, 7);
            default -> Tensors.randn(16, 4, 5, 5, 5);
        };
    }

    private static Module norm(String kind) {
        return switch (rank(kind)) {
            case 0, 1 -> new BatchNorm1d(6);
            case 2 -> new BatchNorm2d(6);
            default -> new BatchNorm3d(6);
        };
    }

    private static Sequential chain(String kind, boolean norm, boolean relu) {
        var chain = new Sequential(layer(kind));
        if (norm) {
            chain.append(norm(kind));
        }
        if (relu) {
            chain.append(new ReLU());
        }
        return chain;
    }

    private static List<String> names(Module chain) {
        return List.copyOf(chain.namedChildren().keySet());
    }

    private static String typeName(Module module) {
        return module.toString().split("\\(", -1)[0];
    }

    /** What PyTorch calls the fused module. */
    private static String fusedName(String kind, boolean norm, boolean relu) {
        boolean linear = kind.equals("Linear");
        if (!norm && !relu) {
            return kind;
        }
        return (linear ? "Linear" : "Conv")
                + (norm ? "Bn" : "")
                + (relu ? "ReLU" : "")
                + (linear ? (norm ? "1d" : "") : rank(kind) + "d");
    }

    static Stream<Arguments> inference() {
        List<Arguments> all = new ArrayList<>();
        for (String kind : List.of("Linear", "Conv1d", "Conv2d", "Conv3d")) {
            all.add(Arguments.of(kind, true, false));
            all.add(Arguments.of(kind, false, true));
            all.add(Arguments.of(kind, true, true));
        }
        IntStream.rangeClosed(1, 3)
                .forEach(d -> all.add(Arguments.of("ConvTranspose" + d + "d", true, false)));
        return all.stream();
    }

    @ParameterizedTest(name = "{0}, normalization: {1}, ReLU: {2}")
    @MethodSource("inference")
    @DisplayName("for inference computes what the chain did, named or found, and runs in integers")
    void forInference(String kind, boolean norm, boolean relu) {
        Libtorch.seed(5);
        Sequential model =
                new Sequential(TrainedModels.trained(chain(kind, norm, relu), input(kind)));
        model.eval();
        Sequential found = model.copy();
        Tensor x = input(kind);
        Tensor before = model.call(x);
        List<String> paths = names(model.get(0)).stream().map(name -> "0." + name).toList();

        Quantization.fuseModules(model, paths);

        assertEquals(List.of(paths), Quantization.fuse(found, x));
        assertEquals(model.toString(), found.toString());
        assertClose(before, model.call(x), 1e-5f);
        assertEquals(relu ? fusedName(kind, false, true) : kind, typeName(model.module("0.0")));
        for (String path : paths.subList(1, paths.size())) {
            assertEquals("Identity()", model.module(path).toString());
        }
        model.qconfig(QConfig.forBackend("x86"));
        Quantization.prepare(model);
        model.call(x);
        Quantization.convert(model);
        float noise = model.call(x).sub(before).norm().item_float() / before.norm().item_float();
        assertTrue(noise > 0 && noise < 0.05, "noise " + noise);
    }

    static Stream<Arguments> training() {
        return Stream.of("Linear", "Conv1d", "Conv2d", "Conv3d")
                .flatMap(kind ->
                        Stream.of(0, 1, 2, 3)
                                .map(bits -> Arguments.of(kind, (bits & 1) != 0, (bits & 2) != 0)));
    }

    @ParameterizedTest(name = "{0}, normalization: {1}, ReLU: {2}")
    @MethodSource("training")
    @DisplayName("for training rounds, learns, and converts to one kernel that computes the same")
    void forTraining(String kind, boolean norm, boolean relu) {
        Libtorch.seed(6);
        Sequential model = chain(kind, norm, relu);
        if (norm || relu) {
            Quantization.fuseModulesQat(model, names(model));
        }
        model.qconfig(QUICK);
        Quantization.prepareQat(model);
        assertEquals(fusedName(kind, norm, relu), typeName(model.get(0)));
        assertTrue(model.toString().contains("(weight_fake_quant): FusedMovingAvgObsFakeQuantize"));
        Tensor x = input(kind);
        Tensor weight = model.get(0).parameter("weight");
        Tensor before = weight.detach().clone();
        for (int i = 0; i < 3; i++) {
            model.call(x).pow(new Scalar(2L)).mean().backward();
            weight.detach().sub_(weight.grad().mul(new Scalar(0.1f)));
        }
        assertTrue(weight.sub(before).abs().max().item_float() > 1e-4);
        model.eval();
        for (int i = 0; i < 12; i++) {
            model.call(x); // the averages reach the range of x: nothing is clamped below
        }
        Tensor rounded = model.call(x);

        Quantization.convert(model);

        String integers = fusedName(kind, false, relu);
        assertEquals("Quantized" + integers, typeName(model.get(0)));
        float step = Tensors.floats(model.get(0).buffer("scale"))[0];
        assertClose(rounded, model.call(x), 3 * step);
    }
}
