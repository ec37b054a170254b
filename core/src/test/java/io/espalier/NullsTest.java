package io.espalier;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Batch;
import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Functional;
import io.espalier.nn.GroupNorm;
import io.espalier.nn.Linear;
import io.espalier.nn.ModuleList;
import io.espalier.nn.MultiheadAttention;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.Prune;
import io.espalier.prune.PruningMethod;
import io.espalier.prune.Target;
import io.espalier.quant.Calibration;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.quant.accuracy.Equalization;
import io.espalier.quant.observer.MinMaxObserver;
import io.espalier.quant.observer.ObserverSettings;
import io.espalier.tensor.Tensors;
import io.espalier.train.Evaluator;
import io.espalier.train.Losses;
import io.espalier.train.Optimizers;
import io.espalier.train.Trainer;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.Arrays;
import java.util.Collections;
import java.util.Set;
import java.util.function.Function;

@DisplayName("Null")
class NullsTest {
    @Test
    @DisplayName("is named: which argument, of what")
    @SuppressWarnings("NullAway") // what users do
    void named() {
        Sequential model = ArgumentSamples.model();
        Tensor x = Tensors.ones(2, 2);
        assertEquals(
                "Null was given for number 2 of the example, where a value is needed.",
                messageOf(() -> Quantization.prepare(model, x, null)));
        assertEquals(
                "Null was given for number 1 of the example, where a value is needed.",
                messageOf(() -> GraphModule.trace(model, (Tensor) null)));
        assertEquals(
                "Null was given for number 1 of the example, where a value is needed.",
                messageOf(() -> Quantization.fuse(model, (Tensor) null)));
        assertEquals(
                "Null was given for number 1 of the example, where a value is needed.",
                messageOf(() -> Equalization.chains(model, (Tensor) null)));
        assertEquals(
                "Null was given for the child '1' of Sequential, where a value is needed.",
                messageOf(() -> new Sequential(new ReLU(), null)));
        assertEquals(
                "Linear takes a weight of 2 dimensions, none of them empty; it was given null.",
                messageOf(() -> Linear.of(null, null)));
        assertEquals(
                "Null was given for the qconfig, where a value is needed.",
                messageOf(() -> Quantization.quantizeDynamic(model, (QConfig) null)));
        assertEquals(
                "Null was given for the mask, where a value is needed.",
                messageOf(() -> Prune.customFromMask(model.get(0), "weight", null)));
        assertEquals(
                "aten::relu takes Tensor as its argument 'self'; it was given null.",
                messageOf(() -> Functional.relu(null)));
    }

    @Test
    @DisplayName("is refused as one of the tensors of a layer")
    @SuppressWarnings("NullAway") // what users do
    void tensorsOfLayers() {
        Tensor two = Tensors.ones(2);
        Tensor square = Tensors.ones(2, 2);
        assertEquals(
                "GroupNorm takes a tensor 'weight'; it was given null.",
                messageOf(() -> GroupNorm.of(1, null, two, o -> o)));
        assertEquals(
                "GroupNorm takes a tensor 'bias' of shape [2]; it was given null.",
                messageOf(() -> GroupNorm.of(1, two, null, o -> o)));
        assertEquals(
                "MultiheadAttention takes a tensor 'in_proj_weight' of shape [6, 2]; it was given"
                        + " null.",
                messageOf(() -> MultiheadAttention.of(1, null, null, square, null, o -> o)));
        assertEquals(
                "MultiheadAttention takes a weight of 2 dimensions, none of them empty; it was"
                        + " given null.",
                messageOf(() -> MultiheadAttention.of(1, square, null, null, null, o -> o)));
        assertTrue(
                messageOf(() -> GroupNorm.of(1, two, two, null))
                        .contains("the function that sets the options"));
    }

    @Test
    @DisplayName("in a list, a map or a batch is refused as well")
    @SuppressWarnings("NullAway") // what users do
    void inside() {
        Sequential model = ArgumentSamples.model();
        Tensor x = Tensors.ones(2, 2);
        assertTrue(
                messageOf(() -> Calibration.run(model, Arrays.asList(x, null)))
                        .contains("a batch of the calibration data"));
        assertTrue(
                messageOf(() -> Quantization.quantize(model, x, Collections.singleton(null)))
                        .contains("a batch of the calibration data"));
        assertTrue(
                messageOf(() -> Functional.cat(Arrays.asList(x, null), 0))
                        .contains("number 2 of the tensors to join"));
        assertTrue(
                messageOf(() -> new ModuleList<>(new ReLU(), null))
                        .contains("number 2 of the modules"));
        assertTrue(
                messageOf(() ->
                                Prune.globalUnstructured(
                                        Arrays.asList(new Target(model.get(0), "weight"), null),
                                        new L1Unstructured(0.5)))
                        .contains("number 2 of the targets"));
        assertTrue(
                messageOf(() -> model.loadStateDict(Collections.singletonMap("0.weight", null)))
                        .contains("'0.weight'"));
    }

    private static Dataset dataset(Function<int[], Batch> batches) {
        return new Dataset() {
            @Override
            public int size() {
                return 2;
            }

            @Override
            public Batch batch(int[] indices) {
                return batches.apply(indices);
            }
        };
    }

    @Test
    @DisplayName("that a function gives is refused as well, and nothing has changed")
    @SuppressWarnings("NullAway") // what users do
    void given() {
        Sequential model = ArgumentSamples.model();
        assertEquals(
                "A function gave null for the options; it has to return it.",
                messageOf(() -> new Linear(2, 2, options -> null)));
        PruningMethod silent = (PruningMethod.Unstructured) (scores, mask) -> null;
        assertTrue(
                messageOf(() -> Prune.apply(model.get(0), "weight", silent)).contains("the mask"));
        Function<ObserverSettings, MinMaxObserver> nothing = settings -> null;
        assertTrue(messageOf(() -> ObserverSettings.of(nothing).make()).contains("an observer"));
        model.qconfig(new QConfig(() -> null, MinMaxObserver.with()));
        assertTrue(messageOf(() -> Quantization.prepare(model)).contains("an observer"));
        assertEquals(Set.of("", "0", "1"), model.namedModules().keySet());
        var optimizer = Optimizers.sgd(model.parameters(), 0.1);
        Dataset silentData = dataset(indices -> null);
        Dataset data = (Dataset) ArgumentSamples.of(Dataset.class, Dataset.class);
        assertTrue(
                messageOf(() ->
                                Trainer.of(model, (output, target) -> null, optimizer)
                                        .train(data, 1))
                        .contains("the loss"));
        assertTrue(
                messageOf(() -> Trainer.of(model, Losses.mse(), optimizer).train(silentData, 1))
                        .contains("a batch of the dataset"));
        assertTrue(
                messageOf(() -> Evaluator.accuracy(silentData).evaluate(model))
                        .contains("a batch of the dataset"));
        model.get(0).onInput((module, inputs) -> null);
        assertTrue(
                messageOf(() -> model.call(Tensors.ones(2, 2)))
                        .contains("the tensors that a hook gives"));
    }
}
