package io.espalier.nn;

import io.espalier.tensor.Internal;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The sizes that a layer knows besides those of its tensors, for whoever gives its tensors other
 * shapes. Of other modules there are none.
 */
@Internal
public final class LayerSizes {
    private LayerSizes() {}

    /**
     * Those of a layer, in an order of its kind's own: inputs before outputs, groups (heads) last.
     */
    public static long[] of(Module layer) {
        return switch (layer) {
            case Linear l -> new long[] {l.inFeatures(), l.outFeatures()};
            case Convolution c -> new long[] {c.inChannels(), c.outChannels(), c.groups()};
            case BatchNorm n -> new long[] {n.numFeatures()};
            case InstanceNorm n -> new long[] {n.numFeatures()};
            case GroupNorm n -> new long[] {n.numChannels(), n.numGroups()};
            case LayerNorm n -> n.normalizedShape();
            case PReLU p -> new long[] {p.count()};
            case VectorTable t -> new long[] {t.embeddingDim()};
            case MultiheadAttention a -> new long[] {a.embedDim(), a.headSize(), a.numHeads()};
            case Recurrent r -> new long[] {r.inputSize(), r.hiddenSize()};
            case LayerForm form -> of(form.geometry());
            default -> new long[0];
        };
    }

    /** Lets a layer know the sizes that its tensors have already. */
    public static void set(Module layer, long... sizes) {
        switch (layer) {
            case Linear l -> l.resize(sizes[0], sizes[1]);
            case Convolution c -> c.resize(sizes[0], sizes[1], sizes[2]);
            case BatchNorm n -> n.resize(sizes[0]);
            case InstanceNorm n -> n.resize(sizes[0]);
            case GroupNorm n -> n.resize(sizes[1], sizes[0]);
            case LayerNorm n -> n.resize(sizes);
            case PReLU p -> p.resize(sizes[0]);
            case VectorTable t -> t.resize(sizes[0]);
            case MultiheadAttention a -> a.resize(sizes[0], sizes[1], sizes[2]);
            case Recurrent r -> r.resize(sizes[0], sizes[1]);
            case LayerForm form -> set(form.geometry(), sizes);
            default -> {}
        }
    }

    /**
     * The sizes that follow from a layer's tensors as they are now; groups and heads, of which
     * tensors say nothing, are as many as before.
     */
    public static long[] ofTensors(Module layer) {
        long[] before = of(layer);
        return switch (layer) {
            case Linear l -> {
                Tensor weight = stored(l, "weight");
                yield weight == null ? before : new long[] {weight.size(1), weight.size(0)};
            }
            case Convolution c -> {
                Tensor weight = stored(c, "weight");
                if (weight == null) {
                    yield before;
                }
                long across = weight.size(1) * c.groups();
                yield c.isTransposed()
                        ? new long[] {weight.size(0), across, c.groups()}
                        : new long[] {across, weight.size(0), c.groups()};
            }
            case BatchNorm n -> {
                Tensor mean = n.runningMean().orElse(stored(n, "weight"));
                yield mean == null ? before : new long[] {mean.size(0)};
            }
            case MultiheadAttention a -> {
                Tensor weight = stored(a, "in_proj_weight");
                yield weight == null
                        ? before
                        : new long[] {
                            weight.size(1), weight.size(0) / 3 / a.numHeads(), a.numHeads()
                        };
            }
            case VectorTable t -> {
                Tensor weight = stored(t, "weight");
                yield weight == null ? before : new long[] {weight.size(1)};
            }
            case InstanceNorm n -> alongFirst(n, before);
            case LayerNorm n -> alongFirst(n, before);
            case PReLU p -> alongFirst(p, before);
            case GroupNorm n -> {
                Tensor weight = stored(n, "weight");
                yield weight == null ? before : new long[] {weight.size(0), n.numGroups()};
            }
            default -> before;
        };
    }

    private static long[] alongFirst(Module layer, long[] before) {
        Tensor weight = stored(layer, "weight");
        return weight == null ? before : Tensors.shape(weight);
    }

    private static @Nullable Tensor stored(Module layer, String name) {
        return layer.hasParameter(name) ? layer.parameter(layer.storedName(name)) : null;
    }
}
