package io.espalier;

import io.espalier.data.Dataset;
import io.espalier.graph.GraphModule;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.prune.Amount;
import io.espalier.prune.L1Unstructured;
import io.espalier.prune.PruningMethod;
import io.espalier.prune.Schedule;
import io.espalier.prune.Target;
import io.espalier.quant.QConfig;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.Metric;
import io.espalier.train.Metrics;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

import java.lang.reflect.Array;
import java.lang.reflect.Proxy;
import java.lang.reflect.Type;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/** Something that may be given for a parameter, by its type. */
final class ArgumentSamples {
    private ArgumentSamples() {}

    static Sequential model() {
        Sequential model = new Sequential(new Linear(2, 2), new ReLU());
        model.eval();
        return model;
    }

    /** Something that may stand there; null is looked for before it is used. */
    static @Nullable Object of(Class<?> type, Type full) {
        if (type == boolean.class) {
            return false;
        }
        if (type == int.class) {
            return 1;
        }
        if (type == long.class) {
            return 1L;
        }
        if (type == float.class) {
            return 0.5f;
        }
        if (type == double.class) {
            return 0.5;
        }
        if (type == String.class) {
            return "weight";
        }
        if (type == Tensor.class) {
            return Tensors.ones(2, 2);
        }
        if (type == ScalarType.class) {
            return ScalarType.Float;
        }
        if (type == long[].class) {
            return new long[] {2, 2};
        }
        if (type == GraphModule.class) {
            return GraphModule.trace(model(), Tensors.ones(2, 2));
        }
        if (type.isAssignableFrom(Sequential.class) && Module.class.isAssignableFrom(type)) {
            return model();
        }
        if (type == QConfig.class) {
            return QConfig.dynamic();
        }
        if (type == Dataset.class) {
            return Dataset.of(Tensors.ones(4, 2), Tensors.of(new long[] {0, 1, 0, 1}, 4));
        }
        if (type == Metric.class) {
            return Metrics.accuracy();
        }
        if (type == Schedule.class) {
            return Schedule.oneShot(0.5);
        }
        if (type == PruningMethod.class || type == PruningMethod.Unstructured.class) {
            return new L1Unstructured(0.5);
        }
        if (type == Path.class) {
            return Path.of("no such folder", "model");
        }
        if (type == Function.class && full.getTypeName().contains("PruningMethod")) {
            return (Function<Amount, PruningMethod>) L1Unstructured::new;
        }
        if (type == UnaryOperator.class) {
            return UnaryOperator.identity();
        }
        if (type == SequencedMap.class || type == Map.class) {
            return new LinkedHashMap<>();
        }
        if (type == Set.class) {
            return Set.of();
        }
        if (Iterable.class.isAssignableFrom(type) && type.isAssignableFrom(List.class)) {
            return full.getTypeName().contains("Target")
                    ? List.of(new Target(model().get(0), "weight"))
                    : full.getTypeName().endsWith("<org.bytedeco.pytorch.Tensor>")
                            ? List.of(Tensors.ones(2, 2))
                            : List.of();
        }
        if (type.isEnum()) {
            return type.getEnumConstants()[0];
        }
        if (type.isArray()) {
            return Array.newInstance(type.componentType(), 0);
        }
        return type.isInterface() && !type.isSealed()
                ? Proxy.newProxyInstance(
                        ArgumentSamples.class.getClassLoader(),
                        new Class<?>[] {type},
                        (proxy, method, arguments) -> {
                            throw new EspalierException("A stand-in computes nothing.");
                        })
                : null;
    }
}
