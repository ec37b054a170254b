package io.espalier.quant.fusion;

import io.espalier.nn.BatchNorm;
import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.BatchNorm3d;
import io.espalier.nn.Conv1d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Conv3d;
import io.espalier.nn.ConvTranspose1d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.ConvTranspose3d;
import io.espalier.nn.Convolution;
import io.espalier.nn.Hook;
import io.espalier.nn.Identity;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Fuses chains of layers for inference: a batch normalization is folded into the layer before it,
 * and a ReLU becomes one module with it. The first place of a chain gets the fused layer, the
 * others an {@code Identity}.
 */
public final class Fusion {
    /** The layers that a chain may begin with, each with the normalization that fits it. */
    private static final Map<Class<? extends Module>, Class<? extends BatchNorm>> NORMS =
            Map.of(
                    Linear.class, BatchNorm1d.class,
                    Conv1d.class, BatchNorm1d.class,
                    Conv2d.class, BatchNorm2d.class,
                    Conv3d.class, BatchNorm3d.class,
                    ConvTranspose1d.class, BatchNorm1d.class,
                    ConvTranspose2d.class, BatchNorm2d.class,
                    ConvTranspose3d.class, BatchNorm3d.class);

    /** The layers that have a fused form with a ReLU, by that form's name. */
    private static final Map<Class<? extends Module>, String> WITH_RELU =
            Map.of(
                    Linear.class, "LinearReLU",
                    Conv1d.class, "ConvReLU1d",
                    Conv2d.class, "ConvReLU2d",
                    Conv3d.class, "ConvReLU3d");

    private static final String PATTERNS =
            "fusable are a linear layer or convolution followed by a batch normalization of its"
                + " dimensions, by a ReLU, or by both in this order; a transposed one by a batch"
                + " normalization alone, and not for training";

    private final Module model;
    private final boolean forTraining;
    private final Set<String> taken = new HashSet<>();

    private Fusion(Module model, boolean forTraining) {
        this.model = Needed.of(model, "the model to fuse");
        this.forTraining = forTraining;
    }

    /** A chain that fits: where its modules stand, and what they are. */
    record Chain(List<String> paths, Module layer, @Nullable BatchNorm norm, @Nullable ReLU relu) {
        Module last() {
            return relu != null ? relu : norm != null ? norm : layer;
        }
    }

    /**
     * The chains of a model that can be fused for inference, as one call on an example shows them;
     * fusing them changes its output by rounding only.
     *
     * @param example what the model is called with
     */
    public static List<List<String>> chains(Module model, List<Tensor> example) {
        return ChainFinder.find(model, example);
    }

    /**
     * The chains that names stand for.
     *
     * @param names one chain of dotted paths, or a list of such lists
     * @throws EspalierException if there is something else in it
     */
    public static List<List<String>> named(List<?> names) {
        if (Needed.of(names, "the names of what to fuse").stream()
                .allMatch(String.class::isInstance)) {
            return List.of(strings(names));
        }
        List<List<String>> chains = new ArrayList<>();
        for (Object chain : names) {
            if (!(chain instanceof List<?> list)) {
                throw new EspalierException(
                        "Fusing takes a list of names or a list of such lists; got " + names + ".");
            }
            chains.add(strings(list));
        }
        return chains;
    }

    private static List<String> strings(List<?> names) {
        for (Object name : names) {
            if (!(name instanceof String)) {
                throw new EspalierException(
                        "Fusing takes a list of names or a list of such lists; got " + names + ".");
            }
        }
        return names.stream().map(String.class::cast).toList();
    }

    /**
     * Checks all chains, then fuses them.
     *
     * @param chains paths of modules that follow each other
     * @throws EspalierException if a chain has no fused form; the model is as it was then
     */
    public static void fuse(Module model, List<List<String>> chains) {
        new Fusion(model, false).fuse(chains);
    }

    /**
     * Checks all chains, then fuses them; batch normalizations are kept, and go on training.
     *
     * @param chains paths of modules that follow each other
     * @throws EspalierException if a chain has no fused form; the model is as it was then
     */
    public static void fuseForTraining(Module model, List<List<String>> chains) {
        new Fusion(model, true).fuse(chains);
    }

    /** Whether a chain of a model has a fused form for inference. */
    static boolean fits(Module model, List<String> chain) {
        try {
            new Fusion(model, false).find(chain);
            return true;
        } catch (EspalierException e) {
            return false;
        }
    }

    private void fuse(List<List<String>> chains) {
        List<Chain> found = chains.stream().map(this::find).toList();
        new SharedModules(model).requireFusedEverywhere(found);
        List<Module> fused = found.stream().map(this::fused).toList();
        for (int i = 0; i < found.size(); i++) {
            List<String> paths = found.get(i).paths();
            Module whole = fused.get(i);
            whole.removeHooks(Hook.class);
            whole.takeInputHooks(found.get(i).layer());
            whole.takeOutputHooks(found.get(i).last());
            foldedAway(found.get(i));
            model.replace(paths.getFirst(), whole);
            for (String path : paths.subList(1, paths.size())) {
                var identity = new Identity();
                identity.training(fused.get(i).isTraining());
                model.replace(path, identity);
            }
        }
    }

    /** Code that uses the layer's weight elsewhere would get the folded one. */
    private static void foldedAway(Chain chain) {
        if (chain.norm() != null) {
            chain.layer()
                    .foldedAway(
                            "'"
                                    + chain.paths().getFirst()
                                    + "' was fused with a batch normalization, which changes it;"
                                    + " leave the two apart where the weight is used elsewhere.");
        }
    }

    private Chain find(List<String> paths) {
        if (paths.size() < 2) {
            throw new EspalierException(
                    "Fusing needs two or more modules in a row; asked for "
                            + paths
                            + " in "
                            + describe(model)
                            + ".");
        }
        List<Module> modules = new ArrayList<>();
        for (String path : paths) {
            if (path.isEmpty()) {
                throw new EspalierException("Can't fuse the model itself; name modules in it.");
            }
            modules.add(model.module(path));
            if (!taken.add(path)) {
                throw new EspalierException(
                        "Module '" + path + "' is named twice; each is fused once.");
            }
        }
        Module layer = modules.getFirst();
        @Nullable BatchNorm norm = null;
        @Nullable ReLU relu = null;
        boolean fits = NORMS.containsKey(layer.getClass());
        for (Module next : modules.subList(1, modules.size())) {
            if (norm == null && relu == null && next.getClass() == NORMS.get(layer.getClass())) {
                norm = (BatchNorm) next;
            } else if (relu == null
                    && next.getClass() == ReLU.class
                    && WITH_RELU.containsKey(layer.getClass())) {
                relu = (ReLU) next;
            } else {
                fits = false;
            }
        }
        if (!fits) {
            throw isTransposed(layer) ? transposed(paths) : unfit(paths, modules);
        }
        if (!layer.namedChildren().isEmpty()) {
            throw new EspalierException(
                    "Can't fuse "
                            + paths
                            + " of a model that is prepared, so that its observers saw the parts;"
                            + " fuse first, then prepare.");
        }
        if (norm != null) {
            requireFoldable(paths, layer, norm);
        }
        Neighbours.require(model, paths);
        requireNoHooksInside(paths, modules);
        return new Chain(paths, layer, norm, relu);
    }

    /** What a hook between two modules of a chain sees is no longer there when they are one. */
    private static void requireNoHooksInside(List<String> paths, List<Module> modules) {
        for (int i = 0; i < modules.size(); i++) {
            boolean afterIt = i < modules.size() - 1 && modules.get(i).hasOutputHooks();
            boolean beforeIt = i > 0 && modules.get(i).hasInputHooks();
            if (afterIt || beforeIt) {
                throw new EspalierException(
                        "Can't fuse "
                                + paths
                                + ": '"
                                + paths.get(i)
                                + "' has a hook on its "
                                + (afterIt ? "output" : "input")
                                + ", which fusing would drop; take it off, or leave the chain"
                                + " unfused.");
            }
        }
    }

    private static EspalierException unfit(List<String> paths, List<Module> modules) {
        String types =
                modules.stream()
                        .map(module -> module.getClass().getSimpleName())
                        .collect(Collectors.joining(", "));
        return new EspalierException(
                "Can't fuse " + paths + ", which are (" + types + "); " + PATTERNS + ".");
    }

    private static boolean isTransposed(Module layer) {
        return layer instanceof Convolution convolution && convolution.isTransposed();
    }

    /** As PyTorch, whose fusions know transposed convolutions only with a folded normalization. */
    private EspalierException transposed(List<String> paths) {
        return new EspalierException(
                "Can't fuse "
                        + paths
                        + (forTraining
                                ? " for training: a transposed convolution has no form that trains"
                                        + " with its batch normalization; leave them apart, or"
                                        + " fold the two with fuseModules in inference mode first."
                                : ": a transposed convolution is fused with its batch"
                                        + " normalization and nothing else; leave a ReLU as it is,"
                                        + " which computes in integers by itself."));
    }

    private void requireFoldable(List<String> paths, Module layer, BatchNorm norm) {
        if (!forTraining && (layer.isTraining() || norm.isTraining())) {
            throw new EspalierException(
                    "Can't fold the batch normalization of "
                            + paths
                            + " in training mode, where its statistics still change; call"
                            + " eval() first, or fuseModulesQat to train fused.");
        }
        if (forTraining && isTransposed(layer)) {
            throw transposed(paths);
        }
        if (norm.runningMean().isEmpty()) {
            throw new EspalierException(
                    "Can't fold the batch normalization of "
                            + paths
                            + ", which keeps no running statistics.");
        }
        long channels = Folding.channels(layer);
        if (channels != norm.numFeatures()) {
            throw new EspalierException(
                    "Can't fuse "
                            + paths
                            + ": the layer has "
                            + channels
                            + " output channels, its batch normalization "
                            + norm.numFeatures()
                            + ".");
        }
    }

    private Module fused(Chain chain) {
        if (forTraining && chain.norm() != null) {
            return trainedTogether(chain.layer(), chain.norm(), chain.relu());
        }
        Module layer = chain.layer();
        boolean training = layer.isTraining();
        Module folded =
                chain.norm() == null ? alone(layer) : Folding.fold(alone(layer), chain.norm());
        if (chain.relu() == null) {
            return folded;
        }
        String name = WITH_RELU.get(layer.getClass());
        var fused = new FusedReLU(String.valueOf(name), folded, Fusion.<ReLU>alone(chain.relu()));
        fused.training(training);
        fused.takeAttachments(layer);
        return fused;
    }

    private static Module trainedTogether(Module layer, BatchNorm norm, @Nullable ReLU relu) {
        String type = layer.getClass().getSimpleName();
        boolean linear = layer instanceof Linear;
        String name =
                (linear ? "Linear" : "Conv")
                        + "Bn"
                        + (relu == null ? "" : "ReLU")
                        + (linear ? "1d" : type.substring("Conv".length()));
        var fused =
                new TrainedTogether(
                        name,
                        alone(layer),
                        Fusion.<BatchNorm>alone(norm),
                        relu == null ? null : Fusion.<ReLU>alone(relu));
        fused.training(layer.isTraining());
        fused.takeAttachments(layer);
        return fused;
    }

    /** A module without its hooks, which go on to the whole. */
    @SuppressWarnings("TypeParameterUnusedInFormals") // an alias is of the module's class
    private static <M extends Module> M alone(Module module) {
        M alias = module.alias();
        alias.removeHooks(Hook.class);
        return alias;
    }

    private static String describe(Module model) {
        return model.getClass().getSimpleName()
                + ", which has: "
                + String.join(", ", model.namedChildren().keySet());
    }
}
